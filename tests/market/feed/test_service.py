"""One range served: what is known first, what follows, and what web processes are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from market.feed.plan import in_range
from market.feed.ports import Outside
from market.feed.service import LeaseLost, Service
from market.quotes import QuoteBook, Source
from tests.market.feed.fakes import (
    QUICK,
    FakeClock,
    FakeExchange,
    FakeLedger,
    FakeRest,
    outside,
    pairs,
    running_exchange,
    ticker,
    ticker_row,
    until,
)

BTC = "tBTCUSD"


@pytest.fixture
async def exchange() -> AsyncIterator[FakeExchange]:
    async with running_exchange() as exchange:
        yield exchange


@pytest.fixture
def rest() -> FakeRest:
    return FakeRest(BTC, "tETHUSD")


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def around(exchange: FakeExchange, rest: FakeRest, ledger: FakeLedger, clock: FakeClock) -> Outside:
    return outside(exchange.url, rest=rest, ledger=ledger, clock=clock)


class Web:
    """What a web process hears."""

    def __init__(self, around: Outside, service: Service) -> None:
        self.layer = around.layer
        self.service = service
        self.batches: list[dict[str, Any]] = []
        self.rows: dict[str, list[Any]] = {}

    async def listen(self) -> None:
        channel = await self.layer.new_channel()
        await self.layer.group_add("market.ticks", channel)
        while True:
            batch = await self.layer.receive(channel)
            self.batches.append(batch)
            self.rows |= {symbol: json.loads(row) for symbol, row in batch["rows"].items()}

    async def ask(self, *symbols: str, full: bool = False) -> None:
        message = {"type": "feed.wanted", "symbols": list(symbols), "full": full}
        await self.layer.group_send("market.feed", message)

    @property
    def status(self) -> dict[str, Any]:
        return self.batches[-1]["status"] if self.batches else {"state": None, "reason": ""}

    def sees(self, state: str) -> Callable[[], bool]:
        return lambda: self.status["state"] == state

    def has(self, source: Source, symbol: str = BTC) -> Callable[[], bool]:
        return lambda: symbol in self.rows and self.rows[symbol][10] == source


@asynccontextmanager
async def served(around: Outside, range_: int = 0) -> AsyncIterator[Web]:
    service = Service(around, range_)
    web = Web(around, service)
    listening = asyncio.ensure_future(web.listen())
    await asyncio.sleep(0)
    serving = asyncio.ensure_future(service.run())
    try:
        yield web
    finally:
        serving.cancel()
        listening.cancel()
        await asyncio.wait({serving, listening})
        assert serving.cancelled(), serving.exception()


def saved_rows(*symbols: str) -> dict[str, str]:
    book = QuoteBook()
    for symbol in symbols:
        book.apply_ticker(symbol, ticker(55), 1, Source.LIVE)
    return book.take_all()


class TestStarting:
    async def test_rows_go_from_saved_over_snapshot_to_live(
        self, around: Outside, ledger: FakeLedger
    ) -> None:
        ledger.saved[0] = saved_rows(BTC)
        async with served(around) as web:
            await until(web.has(Source.LIVE))
            sources = [json.loads(b["rows"][BTC])[10] for b in web.batches if BTC in b["rows"]]
            assert sources[0] == Source.STALE
            assert sources[-1] == Source.LIVE
            assert web.batches[0]["full"]

    async def test_the_whole_list_comes_live(self, around: Outside, rest: FakeRest) -> None:
        rest.symbols = pairs(80)
        async with served(around) as web:
            await until(web.sees("live"))
            await until(lambda: len(web.rows) == 80)
            assert web.status["sockets"] == web.status["wanted"] == 7
            assert web.status["reason"] == ""

    async def test_without_rest_saved_symbols_come_live_all_the_same(
        self, around: Outside, rest: FakeRest, ledger: FakeLedger
    ) -> None:
        rest.fault = "cannot reach Bitfinex"
        ledger.saved[0] = saved_rows(BTC, "tETHUSD")
        async with served(around) as web:
            await until(web.sees("live"))
            await until(web.has(Source.LIVE))

    async def test_with_nothing_at_all_it_says_so_and_recovers(
        self, around: Outside, rest: FakeRest
    ) -> None:
        rest.fault = "cannot reach Bitfinex"
        async with served(around) as web:
            await until(web.sees("offline"))
            assert web.status["reason"] == "cannot reach Bitfinex"
            assert web.status["retry_at"] > web.status["at"] - 1000
            rest.fault = ""
            await until(web.sees("live"))

    async def test_an_unreachable_socket_leaves_snapshots_and_the_next_attempt(
        self, around: Outside, exchange: FakeExchange
    ) -> None:
        exchange.refuse = HTTPStatus.BAD_GATEWAY
        async with served(around) as web:
            await until(web.sees("offline"))
            assert web.status["reason"] == "cannot reach Bitfinex"
            assert web.status["retry_at"] is not None
            await until(web.has(Source.SNAPSHOT))
            exchange.refuse = None
            await until(web.has(Source.LIVE))

    async def test_only_symbols_of_the_range_are_served(
        self, around: Outside, rest: FakeRest
    ) -> None:
        rest.symbols = pairs(40)
        async with served(replace(around, ranges=2), range_=1) as web:
            await until(web.sees("live"))
            assert set(web.rows) == {name for name in pairs(40) if in_range(name, 1, 2)}

    async def test_a_database_that_is_away_does_not_stop_what_is_live(
        self, around: Outside, ledger: FakeLedger
    ) -> None:
        async with served(around) as web:
            await until(web.sees("live"))
            ledger.away = True
            await until(lambda: around.counters.ledger_errors > 3)
            assert web.status["state"] == "live"


class TestPublishing:
    async def test_a_change_reaches_the_web_processes(
        self, around: Outside, exchange: FakeExchange
    ) -> None:
        async with served(around) as web:
            await until(web.has(Source.LIVE))
            await until(web.has(Source.LIVE, "tETHUSD"))
            await exchange.say("ticker", BTC, ticker_row(123))
            await until(lambda: web.rows[BTC][1] == 123)
            (batch,) = [b for b in web.batches if "123" in b["rows"].get(BTC, "")]
            assert set(batch["rows"]) == {BTC}

    async def test_it_beats_when_nothing_happens(
        self, around: Outside, exchange: FakeExchange
    ) -> None:
        async with served(around) as web:
            await until(web.sees("live"))
            await until(lambda: web.batches[-1]["rows"] == {})
            heard = len(web.batches)
            await exchange.beat()
            await asyncio.sleep(0.35)
            assert 1 <= len(web.batches) - heard <= 3

    async def test_who_asks_gets_the_whole_table(self, around: Outside) -> None:
        async with served(around) as web:
            await until(web.sees("live"))
            heard = len(web.batches)
            await web.ask(full=True)
            await until(lambda: any(batch["full"] for batch in web.batches[heard:]))

    async def test_a_message_that_is_none_is_ignored(self, around: Outside) -> None:
        async with served(around) as web:
            await until(web.sees("live"))
            await around.layer.group_send("market.feed", {"type": "feed.wanted", "symbols": 7})
            await web.ask(full=True)
            await until(lambda: sum(batch["full"] for batch in web.batches) > 1)

    async def test_the_state_knows_since_when(self, around: Outside) -> None:
        async with served(around) as web:
            await until(web.sees("live"))
            since = web.status["since"]
            heard = len(web.batches)
            await until(lambda: len(web.batches) > heard + 1)
            assert web.status["since"] == since > 0


class TestWatching:
    async def test_what_is_watched_gets_its_trades_and_loses_them_when_nobody_looks(
        self, around: Outside, rest: FakeRest, exchange: FakeExchange
    ) -> None:
        rest.symbols = [*pairs(400), "fUSD"]
        around = replace(around, timing=replace(QUICK, wanted=2))
        async with served(around) as web:
            await until(web.sees("live"))
            await web.ask("t399USD", "fUSD", "tUNKNOWN")
            await until(lambda: ("trades", "t399USD") in exchange.channels)
            await exchange.say("trades", "t399USD", "te", [1, 2, 3, 777])
            await until(lambda: web.rows["t399USD"][1] == 777)
            number = str(exchange.channels["trades", "t399USD"][1])
            await until(lambda: number in exchange.asked("unsubscribe"))

    async def test_what_is_live_stays_when_the_watched_change(
        self, around: Outside, exchange: FakeExchange
    ) -> None:
        async with served(around) as web:
            await until(web.sees("live"))
            await web.ask(BTC)
            await asyncio.sleep(0.2)
            assert exchange.asked("unsubscribe") == []
            assert exchange.opened == 1


class TestRefreshing:
    async def test_rest_fills_in_while_many_rows_are_not_live(
        self, around: Outside, rest: FakeRest, ledger: FakeLedger
    ) -> None:
        ledger.connects = 0
        async with served(around) as web:
            await until(web.has(Source.SNAPSHOT))
            rest.last = 200
            await until(lambda: web.rows[BTC][1] == 200)
            assert web.status["reason"] == "waiting: Bitfinex limits new connections"

    async def test_rest_rests_while_everything_is_live(
        self, around: Outside, rest: FakeRest, exchange: FakeExchange
    ) -> None:
        async with served(around) as web:
            await until(web.sees("live"))
            await asyncio.sleep(0.15)
            calls = rest.calls
            await asyncio.sleep(0.4)
            assert rest.calls == calls

    async def test_a_new_listing_comes_by_itself(self, around: Outside, rest: FakeRest) -> None:
        async with served(replace(around, timing=replace(QUICK, lists=0.2))) as web:
            await until(web.sees("live"))
            rest.symbols.append("tNEWUSD")
            await until(web.has(Source.LIVE, "tNEWUSD"))

    async def test_the_end_of_maintenance_is_seen_by_rest_too(
        self, around: Outside, rest: FakeRest, exchange: FakeExchange
    ) -> None:
        rest.works = False
        async with served(around) as web:
            await until(web.sees("live"))
            await exchange.tell_all(event="info", code=20060)
            await until(web.sees("stale"))
            assert web.status["reason"] == "Bitfinex is in maintenance"
            assert web.has(Source.STALE)()
            rest.works = True
            await until(web.sees("connecting"))
            await exchange.beat()
            await until(web.sees("live"))
            await until(web.has(Source.LIVE))


class TestKeeping:
    async def test_the_table_is_saved_now_and_then_and_at_the_end(
        self, around: Outside, ledger: FakeLedger, exchange: FakeExchange
    ) -> None:
        async with served(around) as web:
            await until(web.sees("live"))
            await until(lambda: ledger.saved)
            await exchange.say("ticker", BTC, ticker_row(321))
            await until(lambda: web.rows[BTC][1] == 321)
        assert json.loads(ledger.saved[0][BTC])[1] == 321

    async def test_a_lost_lease_ends_the_service(
        self, around: Outside, ledger: FakeLedger, exchange: FakeExchange
    ) -> None:
        serving = asyncio.ensure_future(Service(around, 0).run())
        ledger.holder[0] = "another"
        await asyncio.wait({serving}, timeout=3)
        error = serving.exception()
        assert isinstance(error, ExceptionGroup)
        assert error.subgroup(LeaseLost)
        assert exchange.sockets == []


class TestSilence:
    async def test_rows_of_a_silent_socket_are_stale_in_time_and_come_back(
        self, around: Outside, rest: FakeRest, exchange: FakeExchange, clock: FakeClock
    ) -> None:
        rest.symbols = pairs(20)
        async with served(around) as web:
            await until(lambda: len(exchange.channels) == 40)
            await until(lambda: around.counters.frames == 2 + 2 * 40)  # acks, and first frames
            rest.fault = "cannot reach Bitfinex"  # or it may fill in before stale rows are told
            mute = exchange.sockets[0]
            quiet = {symbol for name, symbol in take_from(exchange, mute) if name == "ticker"}
            clock.go(QUICK.silence - 1)
            heard, frames = len(web.batches), around.counters.frames
            await exchange.beat()
            await until(lambda: around.counters.frames == frames + len(exchange.channels))
            assert told(web.batches[heard:], Source.STALE) == set()
            clock.go(2)
            await until(lambda: told(web.batches[heard:], Source.STALE))
            await until(lambda: all(web.has(Source.LIVE, symbol)() for symbol in web.rows))
            assert told(web.batches[heard:], Source.STALE) == quiet
            assert around.counters.connections_lost == 1


def take_from(exchange: FakeExchange, mute: ServerConnection) -> list[tuple[str, str]]:
    """The channels of this socket; the exchange does not beat on them any more."""
    taken = [channel for channel, (socket, _) in exchange.channels.items() if socket is mute]
    for channel in taken:
        del exchange.channels[channel]
    return taken


def told(batches: list[dict[str, Any]], source: Source) -> set[str]:
    """The symbols whose rows were told as this, at any time."""
    rows = [json.loads(row) for batch in batches for row in batch["rows"].values()]
    return {row[0] for row in rows if row[10] == source}
