"""The feed in this process against the sandbox exchange: what web processes get to see."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests import servers
from tests.feeds import fed_by
from tests.market.feed.fakes import until

pytestmark = pytest.mark.django_db(transaction=True)


async def test_the_grid_is_full_within_three_seconds_and_live_soon_after(
    exchange_server: servers.Exchange,
) -> None:
    began = asyncio.get_running_loop().time()
    async with fed_by(exchange_server) as web:
        await until(lambda: len(web.rows) >= 293 + 10)
        assert asyncio.get_running_loop().time() - began < 3
        await until(lambda: web.all_live() and web.status["state"] == "live")
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
        await until(web.all_live)
        await asyncio.to_thread(exchange_server.fault, kind="freeze", on=True)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(make_price, 12345)
        await until(lambda: web.rows["tBTCUSD"][1] == 12345, 10)  # REST has it after 15 s


async def test_a_replayed_recording_shows_its_own_eight_pairs(
    start_exchange: Callable[..., servers.Exchange], recordings: Path
) -> None:
    recording = recordings / "ws_public/2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"
    server = await asyncio.to_thread(start_exchange, "--replay", str(recording), "--speed", "20")
    async with fed_by(server) as web:
        await until(lambda: len(web.rows) == 8 and web.all_live())
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
