"""The feed in front of a sandbox exchange: in processes of its own, or inside the test."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from market import conf
from market.feed.ports import Counters
from market.feed.runner import Feed
from market.quotes import Source
from tests import servers
from tests.installation import MigratedDatabases
from tests.servers import Child, Dashboard, Exchange


class Feeds:
    """Several feed processes that share one database. `environ` is what all of them get."""

    def __init__(self, folder: Path, exchange: Exchange, **environ: str) -> None:
        self.exchange = exchange
        self._house = Dashboard(folder, exchange, SECRET_KEY=servers.SECRET_KEY, **environ)
        self._house.data.mkdir(mode=0o700)

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
    migrated: MigratedDatabases = request.getfixturevalue("migrated")
    if request.getfixturevalue("profile") == "scaled":
        name = f"feeds_{os.getpid()}_{time.monotonic_ns()}"
        environ["DATABASE_URL"] = migrated.on_postgres(name)
        environ["REDIS_URL"] = request.getfixturevalue("redis_url")
    else:
        environ["DATABASE_URL"] = migrated.on_sqlite(folder / "feeds.sqlite3")
    return Feeds(folder, exchange, **environ)


def wait_for(ready: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)


class Web:
    """What a web process knows after each batch."""

    def __init__(self, layer: InMemoryChannelLayer, counters: Counters) -> None:
        self.layer = layer
        self.counters = counters
        self.rows: dict[str, list[Any]] = {}
        self.status: dict[str, Any] = {"state": "", "reason": ""}

    async def listen(self) -> None:
        channel = await self.layer.new_channel()
        await self.layer.group_add("market.ticks", channel)
        while True:
            batch = await self.layer.receive(channel)
            self.status = batch["status"]
            self.rows |= {symbol: json.loads(row) for symbol, row in batch["rows"].items()}

    def shows(self, state: str, reason: str = "") -> Callable[[], bool]:
        return lambda: self.status["state"] == state and reason in self.status["reason"]

    def sources(self) -> Counter[int]:
        return Counter(row[10] for row in self.rows.values())

    def all_live(self) -> bool:
        return bool(self.rows) and set(self.sources()) == {Source.LIVE}


@asynccontextmanager
async def fed_by(server: Exchange, **parts: Any) -> AsyncIterator[Web]:
    """A feed in this loop, and what a web process sees of it. `parts` replace its surroundings."""
    where = conf.Exchange("live", server.url, server.url, server.ws_url, server.ws_url, "tests")
    layer = InMemoryChannelLayer()
    feed = Feed(where, layer, **parts)
    web = Web(layer, feed.counters)
    listening = asyncio.ensure_future(web.listen())
    await asyncio.sleep(0)
    running = asyncio.ensure_future(feed.run())
    try:
        yield web
    finally:
        running.cancel()
        listening.cancel()
        await asyncio.wait({running, listening})
        assert running.cancelled(), running.exception()
