"""The feed in this process against the sandbox exchange: what web processes get to see."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from channels.layers import InMemoryChannelLayer

from market.conf import Exchange
from market.feed.runner import Feed
from market.quotes import Source
from tests import servers
from tests.market.feed.fakes import until

pytestmark = pytest.mark.django_db(transaction=True)


class Web:
    """What a web process knows after each batch."""

    def __init__(self, layer: InMemoryChannelLayer) -> None:
        self.layer = layer
        self.rows: dict[str, list[Any]] = {}
        self.status: dict[str, Any] = {"state": "", "reason": ""}

    async def listen(self) -> None:
        channel = await self.layer.new_channel()
        await self.layer.group_add("market.ticks", channel)
        while True:
            batch = await self.layer.receive(channel)
            self.status = batch["status"]
            self.rows |= {symbol: json.loads(row) for symbol, row in batch["rows"].items()}

    def sources(self) -> Counter[int]:
        return Counter(row[10] for row in self.rows.values())

    def all_live(self) -> bool:
        return bool(self.rows) and set(self.sources()) == {Source.LIVE}


@asynccontextmanager
async def fed_by(server: servers.Exchange, **parts: Any) -> AsyncIterator[Web]:
    where = Exchange("live", server.url, server.url, server.ws_url, server.ws_url, "tests")
    layer = InMemoryChannelLayer()
    web = Web(layer)
    listening = asyncio.ensure_future(web.listen())
    await asyncio.sleep(0)
    running = asyncio.ensure_future(Feed(where, layer, **parts).run())
    try:
        yield web
    finally:
        running.cancel()
        listening.cancel()
        await asyncio.wait({running, listening})
        assert running.cancelled(), running.exception()


async def test_the_grid_is_full_within_three_seconds_and_live_soon_after(
    exchange_server: servers.Exchange,
) -> None:
    began = asyncio.get_running_loop().time()
    async with fed_by(exchange_server) as web:
        await until(lambda: len(web.rows) >= 293 + 10)
        assert asyncio.get_running_loop().time() - began < 3
        await until(lambda: web.all_live() and web.status["state"] == "live", 20)
        assert web.status["sockets"] == web.status["wanted"] == 15
    counters = await asyncio.to_thread(exchange_server.counters)
    assert counters["violations_total"] == 0
    assert counters["requests"] == {"tickers": 1, "conf": 1}


async def test_a_price_made_at_the_exchange_arrives(exchange_server: servers.Exchange) -> None:
    def make_price(value: float) -> None:
        order = {"symbol": "tBTCUSD", "price": value}
        url = f"{exchange_server.control}/price"
        requests.post(url, json=order, timeout=5).raise_for_status()

    async with fed_by(exchange_server) as web:
        await until(web.all_live, 20)
        await asyncio.to_thread(exchange_server.fault, kind="freeze", on=True)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(make_price, 12345)
        await until(lambda: web.rows["tBTCUSD"][1] == 12345, 2)


async def test_a_replayed_recording_shows_its_own_eight_pairs(
    start_exchange: Callable[..., servers.Exchange], recordings: Path
) -> None:
    recording = recordings / "ws_public/2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"
    server = await asyncio.to_thread(start_exchange, "--replay", str(recording), "--speed", "20")
    async with fed_by(server) as web:
        await until(lambda: len(web.rows) == 8 and web.all_live(), 20)
        assert set(web.rows) == {
            "tETH2X:ETH",
            "tREQUSD",
            "tGTXUST",
            "tCHZUST",
            "tKNCBTC",
            "tETHJPY",
            "tZRXETH",
            "tLRCBTC",
        }
