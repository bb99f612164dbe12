"""G2: after keys were used in every way, no secret is anywhere but sealed in its row."""

import base64
import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests import servers
from tests.faults.installations import Installation, installation
from tests.faults.traces import (
    Texts,
    dump,
    files,
    forms,
    hits,
    of_process,
    with_postgres_programs,
)

__all__ = ["installation"]

READING = {"account": ["read"], "orders": ["read", "write"], "wallets": ["read"]}


def everything(installation: Installation, data: Path) -> Texts:
    """Every file of the data folder, and a plain dump of PostgreSQL."""
    found = files(data)
    url = installation.environ["DATABASE_URL"]
    if url.startswith("postgres"):
        found["dump"] = dump(url)
        assert b"alice" in found["dump"]
    return found


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
    installation.environ |= exchange_server.settings | {"LOG_LEVEL": "DEBUG"}
    installation.environ = with_postgres_programs(installation.environ)
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
