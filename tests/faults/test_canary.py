"""G2: after keys were used in every way, no secret is anywhere but sealed in its row."""

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests import servers
from tests.faults.installations import Installation, installation

__all__ = ["installation"]

READING = {"account": ["read"], "orders": ["read", "write"], "wallets": ["read"]}
PROCESSES = ("environ", "cmdline")


def forms(secret: str) -> Iterator[bytes]:
    """The text itself, and how it looks encoded, wherever in a longer text it begins."""
    raw = secret.encode()
    yield from (raw, raw.hex().encode(), raw.hex().upper().encode(), quote(secret).encode())
    for shift in range(3):
        inner = base64.b64encode(b"\0" * shift + raw)[4:-4]
        yield from (inner, inner.replace(b"+", b"-").replace(b"/", b"_"))
    yield raw.decode().encode("utf-16-le")


def hits(secret: str, texts: dict[str, bytes]) -> list[str]:
    wanted = list(forms(secret))
    return [name for name, text in texts.items() if any(form in text for form in wanted)]


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def everything(installation: Installation, data: Path) -> dict[str, bytes]:
    """Every file of the data folder, and a plain dump of PostgreSQL."""
    found = files(data)
    url = installation.environ["DATABASE_URL"]
    if url.startswith("postgres"):
        program = servers.postgres_binaries() / "pg_dump"
        found["dump"] = subprocess.run([program, url], check=True, capture_output=True).stdout
        assert b"alice" in found["dump"]
    return found


def of_process(pid: int) -> dict[str, bytes]:
    return {f"{pid}/{name}": Path(f"/proc/{pid}/{name}").read_bytes() for name in PROCESSES}


@pytest.fixture
def pairs(exchange_server: servers.Exchange) -> dict[str, dict[str, str]]:
    """A good pair, and one whose secret the exchange refuses."""
    address = f"{exchange_server.control}/keys"
    issued = []
    for _ in range(2):
        answer = requests.post(address, json={"permissions": READING}, timeout=5)
        issued.append({"api_key": answer.json()["key"], "api_secret": answer.json()["secret"]})
    issued[1]["api_secret"] = f"CANARY-{secrets.token_urlsafe(32)}"
    return {"good": issued[0], "wrong": issued[1]}


@pytest.mark.parametrize("form", range(11))
def test_the_search_finds_a_secret_in_every_form(form):
    secret = f"CANARY-{secrets.token_urlsafe(32)}"
    text = list(forms(secret))[form]
    assert hits(secret, {"here": b"before" + text + b"after"}) == ["here"]
    assert hits(secret, {"there": base64.b64encode(b"x" * form + secret.encode())}) == ["there"]


def test_g02_no_secret_is_anywhere_but_sealed_in_its_row(installation, exchange_server, pairs):
    programs = [str(servers.postgres_binaries()), os.environ["PATH"]]
    installation.environ |= exchange_server.settings | {"PATH": os.pathsep.join(programs)}
    installation.environ |= {"LOG_LEVEL": "DEBUG"}
    data = Path(installation.environ["BFX_DATA_DIR"])
    (data / "db").mkdir(exist_ok=True)
    for folder in (data, data / "db"):
        folder.chmod(0o700)
    here = data / "kept"
    here.mkdir(mode=0o700)
    installation.environ["BFX_DATA_DIR"] = str(here)
    serve = [sys.executable, "-m", "django", "serve", "--port", "0"]
    web = servers.Child(serve, here / "serve.log", environ=installation.environ)
    web.wait_until(lambda: "serving http://" in web.log)
    words = ["-m", "tests.faults.canary", exchange_server.control]
    with (here / "run.log").open("wb") as log:
        run = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=installation.environ,
            cwd=servers.ROOT,
        )
    processes = of_process(run.pid) | of_process(web.pid)
    run.communicate(json.dumps(pairs).encode(), timeout=120)
    assert run.returncode == 0, (here / "run.log").read_text()
    texts = processes | everything(installation, here) | files(data / "db")
    web.stop()
    reports = {f"out/report-{number}" for number in range(5)}
    assert {"out/living.copy", "out/audit.csv", "run.log"} | reports <= texts.keys()
    secrets_used = [text for pair in pairs.values() for text in pair.values()]
    assert {text: hits(text, texts) for text in secrets_used} == {text: [] for text in secrets_used}
    print(json.dumps({"files searched": len(texts), "bytes": sum(map(len, texts.values()))}))
