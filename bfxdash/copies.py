"""Whole copies of the database, and putting one back. Keys are never in a copy: those lie in files.

SQLite by its online backup API, while everything runs; PostgreSQL by `pg_dump` and `pg_restore`.
"""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.db import connection

from accounts import rotation
from market import clock
from market.models import FeedLease

LOCKED_SECONDS = 60.0
DUMPED = b"PGDMP"
SQLITE = b"SQLite format 3\0"
TABLE = "accounts_apikey"


class CopyRefused(Exception):
    """Says in plain words why no copy was made, or put back."""


def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def choose(target: str | None, now: datetime, prefix: str = "bfxdash") -> Path:
    """The file of a new copy: in the data folder unless a file or folder is named. Raises
    `CopyRefused` where a key lies, or a file already."""
    stamp = now.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{prefix}-{stamp}.{'pgdump' if is_postgres() else 'sqlite3'}"
    path = Path(target).expanduser() if target else settings.BFX_DATA_DIR / "backups" / name
    path = (path / name if path.is_dir() else path).resolve()
    for folder in (settings.MASTER_KEY_MADE.parent, settings.BFX_MASTER_KEY_FILE.parent):
        if path.is_relative_to(folder.resolve()):
            raise CopyRefused(f"{path} lies where the keys are: who takes one must not get both")
    if path.exists():
        raise CopyRefused(f"{path} is there already")
    return path


def write(path: Path) -> None:
    """A copy of the database as it is at one moment, for its owner's eyes only; whole or not."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _dump(draft) if is_postgres() else _copy_file(draft)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def require_whole(path: Path) -> None:
    """Raises `CopyRefused` unless this is a whole copy of a database of ours, of the same kind."""
    try:
        with path.open("rb") as file:
            head = file.read(len(SQLITE))
    except OSError as error:
        raise CopyRefused(f"{path}: {error.strerror}") from None
    wanted = DUMPED if is_postgres() else SQLITE
    if not head.startswith(wanted):
        kind = "pg_dump's custom format" if is_postgres() else "an SQLite file"
        raise CopyRefused(f"{path} is not {kind}")
    has_keys = _listed(path) if is_postgres() else _is_intact(path)
    if not has_keys:
        raise CopyRefused(f"{path} is no copy of a database of bfxdash")


def put_back(path: Path) -> None:
    """Replaces everything in the database by the copy, in one transaction. The session of this
    process is closed afterwards."""
    if is_postgres():
        connection.close()
        options = ["--clean", "--if-exists", "--no-owner", "--single-transaction"]
        _run("pg_restore", *options, "--exit-on-error", "--dbname", _database(), str(path))
    else:
        with closing(_read_only(path)) as source:
            _page_by_page(source, _raw_connection())
    connection.close()


def has_tables() -> bool:
    return TABLE in connection.introspection.table_names()


def in_use() -> list[str]:
    """What runs on this database: web processes, and whoever serves prices."""
    leases = FeedLease.objects.filter(expires_us__gt=clock.now_us())
    feeds = [f"feed {lease.holder}" for lease in leases]
    return [*(f"web {name}" for name in rotation.running()), *feeds]


def _copy_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as copy:
        _page_by_page(_raw_connection(), copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    if not _is_intact(path):
        raise CopyRefused("the copy is not whole")


def _page_by_page(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    source.backup(target, progress=_patience())


def _patience() -> Callable[[int, int, int], None]:
    give_up = time.monotonic() + LOCKED_SECONDS

    def look(status: int, remaining: int, total: int) -> None:
        if time.monotonic() > give_up:
            raise CopyRefused(f"another process held the database for {LOCKED_SECONDS:.0f} s")

    return look


def _raw_connection() -> sqlite3.Connection:
    connection.ensure_connection()
    return cast(sqlite3.Connection, cast(Any, connection).connection)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _is_intact(path: Path) -> bool:
    try:
        with closing(_read_only(path)) as copy:
            (answer,) = copy.execute("PRAGMA quick_check").fetchone()
            tables = copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [TABLE]).fetchone()
    except sqlite3.Error as error:
        raise CopyRefused(f"{path}: {error}") from None
    return answer == "ok" and tables is not None


def _dump(path: Path) -> None:
    _run("pg_dump", "--format=custom", "--no-owner", f"--file={path}", _database())


def _listed(path: Path) -> bool:
    return f" {TABLE} " in _run("pg_restore", "--list", str(path))


def _database() -> str:
    return str(connection.settings_dict["NAME"])


def _run(program: str, *words: str) -> str:
    """The password goes by the environment: a command line can be read by others."""
    if not shutil.which(program):
        raise CopyRefused(f"{program} is not on PATH: install PostgreSQL's client programs")
    facts = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    server = {name: str(facts[field]) for name, field in names.items() if facts[field]}
    done = subprocess.run(
        [program, *words], env=os.environ | server, capture_output=True, text=True
    )
    if done.returncode:
        raise CopyRefused(f"{program}: {done.stderr.strip()[-1000:]}")
    return done.stdout
