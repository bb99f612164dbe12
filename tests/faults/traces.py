"""Looks for secrets, in whatever form, in whatever place."""

import base64
import os
import sqlite3
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import redis

from tests import servers

PROCESSES = ("environ", "cmdline")
Texts = dict[str, bytes]


def forms(secret: str) -> Iterator[bytes]:
    """The text itself, and how it looks encoded, wherever in a longer text it begins."""
    raw = secret.encode()
    yield from (raw, raw.hex().encode(), raw.hex().upper().encode(), quote(secret).encode())
    for shift in range(3):
        inner = base64.b64encode(b"\0" * shift + raw)[4:-4]
        yield from (inner, inner.replace(b"+", b"-").replace(b"/", b"_"))
    yield raw.decode().encode("utf-16-le")


def hits(secret: str, texts: Texts) -> list[str]:
    wanted = list(forms(secret))
    return [name for name, text in texts.items() if any(form in text for form in wanted)]


def files(folder: Path) -> Texts:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def dump(database_url: str) -> bytes:
    """Every table of a PostgreSQL, as text."""
    program = servers.postgres_binaries() / "pg_dump"
    return subprocess.run([program, database_url], check=True, capture_output=True).stdout


def of_process(pid: int) -> Texts:
    return {f"{pid}/{name}": Path(f"/proc/{pid}/{name}").read_bytes() for name in PROCESSES}


def ask(dashboard: servers.Dashboard, sql: str) -> list[tuple[Any, ...]]:
    """Past the product, in the database of a running dashboard."""
    url = dashboard.environ.get("DATABASE_URL", "")
    if url.startswith("postgres"):
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []
    with closing(sqlite3.connect(dashboard.data / "db" / "bfxdash.sqlite3", timeout=10)) as lite:
        rows = lite.execute(sql).fetchall()
        lite.commit()
        return rows


def sessions(dashboard: servers.Dashboard) -> Texts:
    """What lies in each session: it is packed, so a search of the file alone could miss it."""
    rows = ask(dashboard, "SELECT session_key, session_data FROM django_session")
    return {f"session {key}": unpacked(data) for key, data in rows}


def unpacked(signed: str) -> bytes:
    """The payload of one of Django's signed texts, which it compresses when that is shorter."""
    body = signed.split(":")[0]
    data = base64.urlsafe_b64decode(body.lstrip(".") + "=" * (-len(body.lstrip(".")) % 4))
    return zlib.decompress(data) if body.startswith(".") else data


def cached(dashboard: servers.Dashboard) -> Texts:
    """Every value of the shared cache."""
    url = dashboard.environ.get("REDIS_URL")
    if not url:
        rows = ask(dashboard, "SELECT cache_key, value FROM cache")
        return {f"cache {key}": base64.b64decode(value) for key, value in rows}
    with redis.Redis.from_url(url) as client:
        names = [name for name in client.scan_iter() if client.type(name) == b"string"]
        return {f"cache {name!r}": client.get(name) or b"" for name in names}


def mails(folder: Path) -> Texts:
    """What Django's file backend wrote, each part as its reader sees it."""
    found = {}
    for file, text in files(folder).items():
        for number, letter in enumerate(text.split(b"-" * 79)):
            parts = message_from_bytes(letter.strip()).walk()
            decoded = [part.get_payload(decode=True) or b"" for part in parts]
            found[f"mail {file} {number}"] = letter + b"\n".join(map(bytes, decoded))
    return found


def everything_kept(dashboard: servers.Dashboard) -> Texts:
    """Files, logs, database, sessions, cache and processes of a running dashboard."""
    found = files(dashboard.folder) | sessions(dashboard) | cached(dashboard)
    url = dashboard.environ.get("DATABASE_URL", "")
    if url.startswith("postgres"):
        found["dump"] = dump(url)
    for child in dashboard.children.values():
        if child.running:
            found |= of_process(child.pid)
    return found


def with_postgres_programs(environ: dict[str, str]) -> dict[str, str]:
    programs = [str(servers.postgres_binaries()), os.environ["PATH"]]
    return environ | {"PATH": os.pathsep.join(programs)}
