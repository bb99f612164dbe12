"""The feed as a whole: one process serves a range, another takes over, and no death is silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from market.conf import Exchange
from market.feed.runner import Feed
from tests.market.feed.fakes import (
    QUICK,
    FakeExchange,
    FakeLedger,
    FakeRest,
    pairs,
    running_exchange,
    until,
)

LIVE = Exchange("live", "http://127.0.0.1:1", "http://127.0.0.1:1", "ws://127.0.0.1:1", "", "x")


@pytest.fixture
async def exchange() -> AsyncIterator[FakeExchange]:
    async with running_exchange() as exchange:
        yield exchange


class SharedLedger(FakeLedger):
    """What process `me` sees of a database that it shares with `others`."""

    def __init__(self, me: str, others: FakeLedger | None = None) -> None:
        super().__init__()
        self.me = me
        if others:
            self.holder = others.holder


def feed_of(exchange: FakeExchange, ledger: FakeLedger, ranges: int = 1, **parts: Any) -> Feed:
    known = {"url": exchange.url, "rest": FakeRest(*pairs(10)), "timing": QUICK}
    return Feed(LIVE, InMemoryChannelLayer(), ranges, ledger=ledger, **{**known, **parts})


@asynccontextmanager
async def running(feed: Feed) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.ensure_future(feed.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_stopped_feed_closes_its_sockets_and_gives_the_range_back(
    exchange: FakeExchange,
) -> None:
    ledger = FakeLedger()
    async with running(feed_of(exchange, ledger)) as task:
        await until(lambda: len(exchange.channels) == 20)
        (socket,) = exchange.sockets
    assert task.cancelled()
    assert ledger.holder == {}
    assert len(ledger.saved[0]) == 10
    await until(lambda: not exchange.sockets)
    assert socket.close_code == 1000


async def test_one_serves_and_the_other_takes_over(exchange: FakeExchange) -> None:
    first = SharedLedger("first")
    second = SharedLedger("second", first)
    async with running(feed_of(exchange, first)):
        await until(lambda: first.holder and exchange.sockets)
        standing_by = asyncio.ensure_future(feed_of(exchange, second).run())
        await asyncio.sleep(0.2)
        assert (len(exchange.sockets), second.paid) == (1, [])
    await until(lambda: first.holder.get(0) == "second" and exchange.sockets)
    standing_by.cancel()
    await asyncio.wait({standing_by})


async def test_who_lost_the_range_stands_by_for_it_again(exchange: FakeExchange) -> None:
    ledger = FakeLedger()
    async with running(feed_of(exchange, ledger)):
        await until(lambda: exchange.sockets)
        ledger.holder[0] = "another"
        await until(lambda: not exchange.sockets)
        await asyncio.sleep(0.2)
        assert exchange.sockets == []
        del ledger.holder[0]
        await until(lambda: exchange.sockets)


async def test_ranges_are_shared_between_processes(exchange: FakeExchange) -> None:
    one = SharedLedger("one")
    two = SharedLedger("two", one)
    async with running(feed_of(exchange, one, 2)), running(feed_of(exchange, two, 2)):
        await until(lambda: len(one.holder) == 2)
        assert sorted(one.holder.values()) == ["one", "two"]


async def test_who_is_left_serves_every_range(exchange: FakeExchange) -> None:
    one = SharedLedger("one")
    async with running(feed_of(exchange, one, 3)):
        await until(lambda: one.holder == dict.fromkeys(range(3), "one"))


async def test_a_database_that_is_away_at_the_start_is_waited_for(exchange: FakeExchange) -> None:
    ledger = FakeLedger()
    ledger.away = True
    feed = feed_of(exchange, ledger)
    async with running(feed):
        await until(lambda: feed.counters.ledger_errors)
        ledger.away = False
        await until(lambda: exchange.sockets)


async def test_a_fault_of_our_own_is_raised_as_it_is(exchange: FakeExchange) -> None:
    class Broken(FakeRest):
        async def pairs(self) -> list[str]:
            raise ZeroDivisionError("bug")

    with pytest.raises(ZeroDivisionError, match="bug"):
        await feed_of(exchange, FakeLedger(), rest=Broken("tBTCUSD")).run()
