"""All connections: paid before they are made, never in a hurry, and back by themselves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus

import pytest

from market.bitfinex.events import Channel
from market.bitfinex.pacing import Pace
from market.feed.fleet import Fleet
from market.feed.ports import Outside
from market.feed.table import Table
from market.quotes import Source
from tests.market.feed.fakes import (
    QUICK,
    FakeExchange,
    FakeLedger,
    outside,
    pairs,
    running_exchange,
    until,
)


def tickers(number: int) -> list[Channel]:
    return [Channel("ticker", symbol) for symbol in pairs(number)]


@pytest.fixture
async def exchange() -> AsyncIterator[FakeExchange]:
    async with running_exchange() as exchange:
        yield exchange


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def around(exchange: FakeExchange, ledger: FakeLedger) -> Outside:
    return outside(exchange.url, ledger=ledger)


class Running:
    def __init__(self, around: Outside) -> None:
        self.table = Table(around.clock, lambda: None)
        self.fleet = Fleet(around, self.table, lambda: None)
        self.task = asyncio.ensure_future(self.fleet.run())

    def count(self, source: Source) -> int:
        quotes = map(self.table.book.get, self.table.book.symbols())
        return sum(quote is not None and quote.source == source for quote in quotes)

    def is_live(self, number: int) -> Callable[[], bool]:
        return lambda: self.count(Source.LIVE) == number


@asynccontextmanager
async def fleet(around: Outside, channels: list[Channel]) -> AsyncIterator[Running]:
    running = Running(around)
    running.fleet.want(channels)
    try:
        yield running
    finally:
        running.task.cancel()
        await asyncio.wait({running.task})


class TestConnecting:
    async def test_every_channel_comes_live_on_as_few_connections_as_possible(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        async with fleet(around, tickers(60)) as running:
            await until(running.is_live(60))
            assert len(exchange.sockets) == 3
            view = running.fleet.view()
            assert (view.wanted, view.open, view.out_of_reach) == (3, 3, False)

    async def test_every_attempt_is_paid_for(self, exchange: FakeExchange, around: Outside) -> None:
        open_then: list[int] = []

        class Noting(FakeLedger):
            async def pay_connect(self, *, first: bool) -> float:
                open_then.append(running.fleet.view().open)
                return await super().pay_connect(first=first)

        ledger = Noting()
        around = replace(around, timing=replace(QUICK, step=0.1), ledger=ledger)
        async with fleet(around, tickers(125)) as running:
            await until(running.is_live(125))
            assert ledger.paid == [number >= 3 for number in open_then]
            exchange.sockets[0].transport.abort()
            await until(lambda: exchange.opened == 6)
            assert ledger.paid[5:] == [False], "a reconnect"
            assert around.counters.connections_lost == 1

    async def test_first_connects_are_spread_and_in_the_order_of_the_plan(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        around = replace(around, timing=replace(QUICK, step=0.1))
        started = asyncio.get_running_loop().time()
        async with fleet(around, tickers(75)) as running:
            await until(running.is_live(75))
            assert asyncio.get_running_loop().time() - started >= 0.2
            asked = exchange.asked("subscribe")
            assert sorted(asked[:25]) == pairs(25)
            assert sorted(asked[50:]) == pairs(75)[50:]

    async def test_without_budget_nobody_connects_and_the_view_says_when(
        self, exchange: FakeExchange, around: Outside, ledger: FakeLedger
    ) -> None:
        ledger.connects = 1
        async with fleet(around, tickers(50)) as running:
            await until(lambda: running.fleet.view().limited and exchange.opened)
            await asyncio.sleep(0.15)
            assert exchange.opened == 1
            assert running.fleet.view().retry_at is not None
            ledger.connects = 2
            await until(running.is_live(50))
            assert not running.fleet.view().limited

    async def test_without_the_ledger_nobody_connects(
        self, exchange: FakeExchange, around: Outside, ledger: FakeLedger
    ) -> None:
        ledger.away = True
        async with fleet(around, tickers(1)):
            await until(lambda: around.counters.ledger_errors)
            assert exchange.opened == 0

    async def test_a_fault_of_our_own_ends_the_fleet(self, around: Outside) -> None:
        class Broken(FakeLedger):
            async def pay_connect(self, *, first: bool) -> float:
                raise RuntimeError("bug")

        async with fleet(replace(around, ledger=Broken()), tickers(1)) as running:
            await asyncio.wait({running.task}, timeout=3)
            error = running.task.exception()
            assert isinstance(error, ExceptionGroup)
            assert error.subgroup(RuntimeError)


class TestLosing:
    async def test_rows_of_a_lost_socket_are_stale_at_once_and_live_again_later(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        around = replace(around, timing=replace(QUICK, pace=Pace(0.2, 0.01, 0.3)))
        async with fleet(around, tickers(30)) as running:
            await until(running.is_live(30))
            exchange.sockets[0].transport.abort()
            await until(lambda: running.count(Source.STALE))
            assert running.count(Source.STALE) in {25, 5}
            assert running.fleet.view().open == 1
            await until(running.is_live(30))

    async def test_no_reconnect_is_quicker_than_the_floor(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        around = replace(around, timing=replace(QUICK, pace=Pace(0.1, 0.01, 0.3)))
        async with fleet(around, tickers(1)) as running:
            for _ in range(3):
                await until(running.is_live(1))
                opened, lost = exchange.opened, asyncio.get_running_loop().time()
                await exchange.sockets[-1].close()
                while exchange.opened == opened:
                    await asyncio.sleep(0.005)
                assert asyncio.get_running_loop().time() - lost >= 0.1

    async def test_while_out_of_reach_one_at_a_time_keeps_trying(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        around = replace(around, timing=replace(QUICK, step=0.05, pace=Pace(0.1, 0.01, 0.1)))
        exchange.refuse = HTTPStatus.SERVICE_UNAVAILABLE
        async with fleet(around, tickers(200)) as running:
            await asyncio.sleep(0.65)
            assert running.fleet.view().out_of_reach
            assert 3 <= exchange.opened <= 7
            exchange.refuse = None
            await until(running.is_live(200))
            assert not running.fleet.view().out_of_reach

    async def test_once_limited_the_whole_budget_counts_as_used(
        self, exchange: FakeExchange, around: Outside, ledger: FakeLedger
    ) -> None:
        around = replace(around, timing=replace(QUICK, step=0.05))
        exchange.refuse = HTTPStatus.TOO_MANY_REQUESTS
        async with fleet(around, tickers(60)) as running:
            await until(lambda: ledger.used_up)
            await asyncio.sleep(0.2)
            assert exchange.opened == 1
            assert running.fleet.view().limited
            exchange.refuse, ledger.connects = None, 100
            await until(running.is_live(60))

    async def test_a_hundred_resets_are_survived(
        self, exchange: FakeExchange, around: Outside, ledger: FakeLedger
    ) -> None:
        around = replace(around, timing=replace(QUICK, pace=Pace(0.0, 0.002, 0.004)))
        async with fleet(around, tickers(2)) as running:
            lost = around.counters
            for number in range(100):
                await until(running.is_live(2))
                exchange.sockets[-1].transport.abort()
                while lost.connections_lost == number:
                    await asyncio.sleep(0.001)
            await until(running.is_live(2))
            assert len(ledger.paid) == exchange.opened == 101


class TestArranging:
    async def test_new_wishes_leave_live_channels_in_place(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        async with fleet(around, tickers(20)) as running:
            await until(running.is_live(20))
            running.fleet.want([Channel("trades", "t001USD"), *tickers(24)])
            await until(running.is_live(24))
            assert exchange.opened == 1
            assert exchange.asked("unsubscribe") == []

    async def test_a_connection_that_nothing_is_left_for_is_closed(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        async with fleet(around, tickers(30)) as running:
            await until(running.is_live(30))
            running.fleet.want(tickers(25))
            await until(lambda: len(exchange.sockets) == 1)
            assert running.fleet.view().wanted == 1

    async def test_a_channel_that_one_connection_does_not_take_goes_to_another(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        def answer(request: dict[str, str]) -> list[str] | None:
            if request["event"] != "subscribe" or len(exchange.channels) != 10:
                return None
            exchange.channels.pop(("ticker", "t000USD"), None)
            return [json.dumps({**request, "event": "error", "code": 10305, "msg": "limit"})]

        exchange.on_request = answer
        async with fleet(around, tickers(11)) as running:
            await until(running.is_live(11))
            assert len(exchange.sockets) == 2

    async def test_everything_can_be_subscribed_anew(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        async with fleet(around, tickers(30)) as running:
            await until(running.is_live(30))
            running.fleet.renew()
            await until(lambda: len(exchange.asked("subscribe")) == 60)
            await until(running.is_live(30))
