"""One socket: what it sends, when it gives up, and that it closes in order."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus

import pytest

from market.bitfinex import events
from market.bitfinex.events import Channel, Event
from market.feed.connection import Connection, ConnectionFailed, ConnectionLimited, Listener
from market.feed.ports import Outside
from tests.market.feed.fakes import (
    QUICK,
    WATCHFUL,
    FakeClock,
    FakeExchange,
    outside,
    running_exchange,
    ticker_row,
    until,
)

BTC = Channel("ticker", "tBTCUSD")
ETH = Channel("ticker", "tETHUSD")


class Ear:
    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.lost: list[Channel] = []

    @property
    def listener(self) -> Listener:
        return Listener(self.heard.append, self.lost.extend)

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.heard if isinstance(event, kind)]


@pytest.fixture
async def exchange() -> AsyncIterator[FakeExchange]:
    async with running_exchange() as exchange:
        yield exchange


@pytest.fixture
def around(exchange: FakeExchange) -> Outside:
    return outside(exchange.url)


class Running:
    """A connection that serves in the background."""

    def __init__(self, connection: Connection, ear: Ear) -> None:
        self.connection = connection
        self.ear = ear
        self.task = asyncio.ensure_future(connection.serve())

    async def end(self) -> str:
        """Why it ended by itself."""
        with pytest.raises(ConnectionFailed) as failure:
            async with asyncio.timeout(10):
                await self.task
        await self.connection.close()
        return failure.value.reason


async def serving(around: Outside, *channels: Channel) -> Running:
    ear = Ear()
    connection = await Connection.open(around, ear.listener)
    connection.want(channels)
    running = Running(connection, ear)
    first = [event for event in (events.TickerSeen, events.TradesSeen) if channels]
    await until(lambda: len([e for k in first for e in ear.of(k)]) >= len(channels))
    return running


class TestOpening:
    async def test_the_first_word_is_waited_for_and_flags_are_set(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC)
        assert running.ear.heard[0] == events.Welcomed("", operative=True)
        assert exchange.requests[0] == {"event": "conf", "flags": 65536}
        assert exchange.asked("subscribe") == ["tBTCUSD"]
        running.task.cancel()

    async def test_too_many_connections_are_told_from_other_refusals(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        exchange.refuse = HTTPStatus.TOO_MANY_REQUESTS
        with pytest.raises(ConnectionLimited):
            await Connection.open(around, Ear().listener)
        exchange.refuse = HTTPStatus.SERVICE_UNAVAILABLE
        with pytest.raises(ConnectionFailed, match="503") as failure:
            await Connection.open(around, Ear().listener)
        assert not isinstance(failure.value, ConnectionLimited)

    async def test_a_redirect_is_a_refusal_and_followed_nowhere(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        exchange.refuse = HTTPStatus.FOUND
        with pytest.raises(ConnectionFailed, match="302"):
            await Connection.open(around, Ear().listener)
        assert exchange.opened == around.counters.connects == 1

    async def test_nobody_listening_is_a_failure(self) -> None:
        with pytest.raises(ConnectionFailed):
            await Connection.open(outside("ws://127.0.0.1:1/ws/2"), Ear().listener)

    @pytest.mark.parametrize(
        ("welcome", "reason"),
        [
            ('{"event":"info","version":1}', "another protocol version"),
            ("[1,2]", "first word"),
            ("<html>", "first word"),
        ],
    )
    async def test_another_first_word_ends_it(
        self, exchange: FakeExchange, around: Outside, welcome: str, reason: str
    ) -> None:
        exchange.welcome = welcome
        with pytest.raises(ConnectionFailed, match=reason):
            await Connection.open(around, Ear().listener)
        await until(lambda: not exchange.sockets)

    async def test_no_first_word_is_given_up_in_time(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        exchange.welcome = ""
        around = replace(around, timing=replace(QUICK, connect=0.3))
        with pytest.raises(ConnectionFailed, match="no answer in time"):
            await Connection.open(around, Ear().listener)
        await until(lambda: not exchange.sockets)


class TestChannels:
    async def test_what_is_wanted_is_subscribed_and_what_is_not_is_left(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC)
        running.connection.want([ETH])
        await until(lambda: len(running.ear.of(events.TickerSeen)) == 2)
        assert exchange.asked("subscribe") == ["tBTCUSD", "tETHUSD"]
        assert exchange.asked("unsubscribe") == ["1"]
        assert running.ear.of(events.Unsubscribed) == [events.Unsubscribed(BTC)]
        running.task.cancel()

    async def test_a_live_channel_that_stays_wanted_is_left_in_peace(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC)
        running.connection.want([ETH, BTC])
        await until(lambda: len(running.ear.of(events.TickerSeen)) == 2)
        assert exchange.asked("unsubscribe") == []
        running.task.cancel()

    async def test_a_refused_channel_is_not_asked_for_again(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        refusal = {"event": "error", "code": 10300, "msg": "symbol: invalid", **ETH.request()}
        exchange.on_request = lambda request: (
            [json.dumps(refusal)] if request.get("symbol") == "tETHUSD" else None
        )
        running = await serving(around, BTC)
        running.connection.want([BTC, ETH])
        await until(lambda: running.ear.of(events.Refused))
        running.connection.want([BTC, ETH])
        await exchange.say("ticker", "tBTCUSD", "hb")
        await until(lambda: running.ear.of(events.Heartbeat))
        assert exchange.asked("subscribe") == ["tBTCUSD", "tETHUSD"]
        assert around.counters.channels_refused == 1
        running.task.cancel()

    async def test_a_full_connection_knows_its_room(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        full = {"event": "error", "code": 10305, "msg": "subscribe: limit", **ETH.request()}
        exchange.on_request = lambda request: (
            [json.dumps(full)] if request.get("symbol") == "tETHUSD" else None
        )
        running = await serving(around, BTC)
        running.connection.want([BTC, ETH])
        await until(lambda: running.ear.of(events.Full))
        assert running.connection.room == 1
        running.task.cancel()

    async def test_a_connection_that_takes_no_channel_ends(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        full = {"event": "error", "code": 10305, "msg": "subscribe: limit", **BTC.request()}
        exchange.on_request = lambda request: (
            [json.dumps(full)] if request["event"] == "subscribe" else None
        )
        running = await serving(around)
        running.connection.want([BTC])
        assert await running.end() == "it takes no channel"


class TestFaults:
    async def test_total_silence_ends_it(self, around: Outside) -> None:
        around = replace(around, timing=WATCHFUL)
        running = await serving(around, BTC)
        assert await running.end() == "silent"

    async def test_a_silent_channel_is_lost_and_subscribed_anew(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        around = replace(around, timing=WATCHFUL)
        running = await serving(around, BTC, ETH)
        for _ in range(300):
            await exchange.say("ticker", "tBTCUSD", "hb")
            await asyncio.sleep(0.02)
            if running.ear.lost:
                break
        assert running.ear.lost == [ETH]
        await until(lambda: exchange.asked("subscribe") == ["tBTCUSD", "tETHUSD", "tETHUSD"])
        assert around.counters.channels_silent == 1
        running.task.cancel()

    async def test_a_request_without_an_answer_is_asked_again(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        answers = iter([list[str](), None])
        exchange.on_request = lambda request: (
            next(answers) if request.get("symbol") == "tETHUSD" else None
        )
        around = replace(around, timing=WATCHFUL)
        running = await serving(around, BTC)
        running.connection.want([BTC, ETH])
        while not running.ear.of(events.Subscribed)[1:]:
            await exchange.say("ticker", "tBTCUSD", "hb")
            await asyncio.sleep(0.02)
        assert exchange.asked("subscribe") == ["tBTCUSD", "tETHUSD", "tETHUSD"]
        running.task.cancel()

    async def test_a_lost_frame_renews_every_channel(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC, ETH)
        await exchange.say("ticker", "tBTCUSD", "hb", skip=2)
        await until(lambda: len(running.ear.of(events.TickerSeen)) == 4)
        assert len(running.ear.of(events.Unsubscribed)) == 2
        assert around.counters.frames_lost == 2
        assert around.counters.resubscribed == 2
        running.task.cancel()

    async def test_frames_that_keep_getting_lost_end_it(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC)
        for _ in range(3):
            seen = len(running.ear.of(events.TickerSeen))
            await exchange.say("ticker", "tBTCUSD", "hb", skip=1)
            if running.task.done():
                break
            await asyncio.sleep(0.05)
            assert len(running.ear.of(events.TickerSeen)) in {seen, seen + 1}
        assert await running.end() == "frames keep getting lost"

    async def test_faulty_frames_of_a_channel_renew_it(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC, ETH)
        for _ in range(3):
            await exchange.say("ticker", "tETHUSD", ["what?"])
        await until(lambda: len(running.ear.of(events.TickerSeen)) == 3)
        assert running.ear.of(events.Unsubscribed) == [events.Unsubscribed(ETH)]
        assert around.counters.frames_dropped == 3
        running.task.cancel()

    async def test_unreadable_frames_end_it(self, exchange: FakeExchange, around: Outside) -> None:
        running = await serving(around, BTC)
        for _ in range(3):
            await exchange.sockets[0].send("<html>")
        assert await running.end() == "too many unreadable frames"

    async def test_a_restart_of_the_exchange_ends_it(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC)
        await exchange.tell_all(event="info", code=20051, msg="restart")
        assert await running.end() == "the exchange restarts"

    async def test_the_end_of_maintenance_renews_every_channel(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC)
        await exchange.tell_all(event="info", code=20060)
        await exchange.tell_all(event="info", code=20061)
        await until(lambda: len(running.ear.of(events.TickerSeen)) == 2)
        running.task.cancel()

    async def test_another_version_later_on_ends_it(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC)
        await exchange.tell_all(event="info", version=3)
        assert await running.end() == "another protocol version"

    async def test_a_reset_ends_it(self, exchange: FakeExchange, around: Outside) -> None:
        running = await serving(around, BTC)
        exchange.sockets[0].transport.abort()
        assert "ConnectionClosed" in await running.end()

    async def test_a_frame_beyond_all_bounds_ends_it(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        running = await serving(around, BTC)
        await exchange.sockets[0].send("x" * (1024 * 1024 + 1))
        assert "ConnectionClosed" in await running.end()

    async def test_a_jump_of_the_wall_clock_ends_nothing(
        self, exchange: FakeExchange, around: Outside
    ) -> None:
        assert isinstance(around.clock, FakeClock)
        running = await serving(around, BTC)
        for hours in (1, -2):
            around.clock.wall_ahead = hours * 3600
            await exchange.say("ticker", "tBTCUSD", ticker_row(100 + hours))
        await until(lambda: len(running.ear.of(events.TickerSeen)) == 3)
        assert not running.task.done()
        running.task.cancel()


async def test_the_socket_is_closed_in_order(exchange: FakeExchange, around: Outside) -> None:
    running = await serving(around, BTC)
    (socket,) = exchange.sockets
    running.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running.task
    await running.connection.close()
    await until(lambda: not exchange.sockets)
    assert socket.close_code == 1000
