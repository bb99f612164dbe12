"""`manage.py feed` in processes of its own, on a database of its own, before a sandbox exchange."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.servers import Child, Dashboard, Exchange


class Feeds:
    """Several feed processes that share one database. `environ` is what all of them get."""

    def __init__(self, folder: Path, exchange: Exchange, **environ: str) -> None:
        self.exchange = exchange
        self._house = Dashboard(folder, exchange, SECRET_KEY=servers.SECRET_KEY, **environ)
        self._house.data.mkdir(mode=0o700)
        (self._house.data / "db").mkdir()
        self.run("migrate")

    def run(self, *words: str) -> str:
        """A management command; what it wrote."""
        child = self._house.manage(f"run-{time.monotonic_ns()}", *words)
        child.process.wait(60)
        if child.close():
            raise RuntimeError(child.log)
        return child.log

    def start(self, name: str = "feed", **environ: str) -> Child:
        self._house.environ |= environ
        return self._house.manage(name, "feed")

    def saved(self) -> dict[str, list[Any]]:
        """Rows of the newest saved table."""
        dumped = self.run("dumpdata", "market.savedquotes", "--verbosity", "0")
        tables = json.loads(dumped[dumped.index("[") :])
        return {
            symbol: json.loads(row)
            for table in tables
            for symbol, row in table["fields"]["rows"].items()
        }

    def stop(self) -> None:
        self._house.stop()


def make_feeds(
    request: pytest.FixtureRequest, folder: Path, exchange: Exchange, **environ: str
) -> Feeds:
    """On SQLite when the run is embedded, on PostgreSQL and Redis when it is scaled."""
    if request.getfixturevalue("profile") == "scaled":
        postgres: servers.Postgres = request.getfixturevalue("postgres")
        name = f"feeds_{os.getpid()}_{time.monotonic_ns()}"
        environ["DATABASE_URL"] = postgres.make_database(name)
        environ["REDIS_URL"] = request.getfixturevalue("redis_url")
    return Feeds(folder, exchange, **environ)


def wait_for(ready: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)
