"""Stand-ins with the real interfaces: a clock, the ports of the feed, and a tiny exchange."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from itertools import count
from typing import Any

from channels.layers import InMemoryChannelLayer
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from market.bitfinex.messages import AnyTicker, Ticker
from market.bitfinex.pacing import Pace
from market.feed.ports import Clock, LedgerAway, Outside, RestFailed, Timing

QUICK = Timing(
    silence=30.0,
    check=0.02,
    healthy=0.5,
    connect=10.0,
    step=0.0,
    pace=Pace(floor=0.02, first=0.02, cap=0.05),
    flush=0.01,
    beat=0.2,
    full=5.0,
    save=0.1,
    refresh=0.1,
    lists=60.0,
    lease=0.3,
    wanted=0.5,
)
WATCHFUL = replace(QUICK, silence=0.8)


class FakeClock(Clock):
    """Real pace, but the wall clock can be set, and `go` moves both."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.wall_ahead = 0.0

    def go(self, seconds: float) -> None:
        self.ahead += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + round((self.ahead + self.wall_ahead) * 1000)


class FakeLedger:
    """One installation's database in memory; `away` makes every call fail."""

    def __init__(self, connects: int = 1000) -> None:
        self.connects = connects
        self.paid: list[bool] = []
        self.used_up = 0
        self.holder: dict[int, str] = {}
        self.me = "me"
        self.saved: dict[int, dict[str, str]] = {}
        self.away = False

    def _check(self) -> None:
        if self.away:
            raise LedgerAway("no database")

    async def pay_connect(self, *, first: bool) -> float:
        self._check()
        if len(self.paid) >= self.connects:
            return 0.05
        self.paid.append(first)
        return 0

    async def use_up_connects(self) -> None:
        self._check()
        self.used_up += 1
        self.connects = len(self.paid)

    async def hold(self, range_: int, ttl: float) -> bool:
        self._check()
        return self.holder.setdefault(range_, self.me) == self.me

    async def release(self, range_: int) -> None:
        if self.holder.get(range_) == self.me:
            del self.holder[range_]

    async def load_quotes(self, range_: int) -> dict[str, str]:
        self._check()
        return self.saved.get(range_, {})

    async def save_quotes(self, range_: int, rows: Mapping[str, str]) -> None:
        self._check()
        self.saved[range_] = dict(rows)


class FakeRest:
    """REST answers; `fault` makes every call fail with this reason."""

    def __init__(self, *symbols: str) -> None:
        self.symbols = list(symbols)
        self.last = 100.0
        self.fault = ""
        self.works = True
        self.calls = 0

    def _check(self) -> None:
        self.calls += 1
        if self.fault:
            raise RestFailed(self.fault)

    async def operative(self) -> bool:
        self._check()
        return self.works

    async def pairs(self) -> list[str]:
        self._check()
        return [symbol[1:] for symbol in self.symbols if symbol.startswith("t")]

    async def tickers(self) -> Mapping[str, AnyTicker]:
        self._check()
        return {symbol: ticker(self.last) for symbol in self.symbols}


def ticker(last: float = 100) -> Ticker:
    return Ticker(99, 1, 101, 1, 0, 0, last, 5, 110, 90)


def pairs(number: int) -> list[str]:
    return [f"t{index:03}USD" for index in range(number)]


class FakeExchange:
    """A public socket that accepts everything; tests tell it what to do otherwise.

    `on_request(text)` may answer a request in its own way by returning the frames to send, or None
    for the usual answer: an ack, then one first frame.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.sockets: list[ServerConnection] = []
        self.requests: list[dict[str, Any]] = []
        self.refuse: HTTPStatus | None = None
        self.welcome = '{"event":"info","version":2,"platform":{"status":1}}'
        self.on_request: Callable[[dict[str, Any]], list[str] | None] = lambda _: None
        self.channels: dict[tuple[str, str], tuple[ServerConnection, int]] = {}
        self.sequence: dict[ServerConnection, int] = {}
        self._ids = count(1)
        self._server: Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/ws/2"

    async def start(self) -> None:
        self._server = await serve(
            self._attend, "127.0.0.1", self._port, process_request=self._greet, close_timeout=0.2
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def _greet(self, socket: ServerConnection, request: Request) -> Response | None:
        self.opened += 1
        if self.refuse:
            return socket.respond(self.refuse, "not now")
        return None

    async def _attend(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        self.sequence[socket] = 0
        try:
            if self.welcome:
                await socket.send(self.welcome)
            async for text in socket:
                request = json.loads(text)
                self.requests.append(request)
                answers = self.on_request(request)
                for frame in self._answer(socket, request) if answers is None else answers:
                    await socket.send(frame)
        except ConnectionClosed:
            pass
        finally:
            self.sockets.remove(socket)

    def _answer(self, socket: ServerConnection, request: dict[str, Any]) -> list[str]:
        if request["event"] == "conf":
            return [json.dumps({**request, "status": "OK"})]
        if request["event"] == "unsubscribe":
            return [json.dumps({**request, "event": "unsubscribed", "status": "OK"})]
        chan_id = next(self._ids)
        self.channels[request["channel"], request["symbol"]] = (socket, chan_id)
        ack = {**request, "event": "subscribed", "chanId": chan_id}
        first = ticker_row(100) if request["channel"] == "ticker" else []
        return [json.dumps(ack), self.frame(socket, chan_id, first)]

    def frame(self, socket: ServerConnection, chan_id: int, *body: Any, skip: int = 0) -> str:
        self.sequence[socket] += 1 + skip
        return json.dumps([chan_id, *body, self.sequence[socket]])

    async def say(self, channel: str, symbol: str, *body: Any, skip: int = 0) -> None:
        """A frame on this channel; `skip` sequence numbers are left out before it."""
        socket, chan_id = self.channels[channel, symbol]
        await socket.send(self.frame(socket, chan_id, *body, skip=skip))

    async def beat(self) -> None:
        """A heartbeat on every channel of every open socket."""
        for (name, symbol), (socket, _) in list(self.channels.items()):
            if socket in self.sockets:
                await self.say(name, symbol, "hb")

    async def tell_all(self, **event: Any) -> None:
        for socket in list(self.sockets):
            await socket.send(json.dumps(event))

    def asked(self, event: str) -> list[str]:
        """Symbols, or channel numbers, that were asked for with this event."""
        return [
            request.get("symbol") or str(request["chanId"])
            for request in self.requests
            if request["event"] == event
        ]


def ticker_row(last: float) -> list[float]:
    return [99, 1, 101, 1, 0, 0, last, 5, 110, 90]


@asynccontextmanager
async def running_exchange() -> AsyncIterator[FakeExchange]:
    exchange = FakeExchange()
    await exchange.start()
    try:
        yield exchange
    finally:
        await exchange.stop()


def outside(url: str, **parts: Any) -> Outside:
    known = {
        "ledger": FakeLedger(),
        "rest": FakeRest("tBTCUSD"),
        "layer": InMemoryChannelLayer(),
        "timing": QUICK,
        "clock": FakeClock(),
    }
    return Outside(url=url, **{**known, **parts})


async def until(ready: Callable[[], object], seconds: float = 60.0) -> None:
    """Returns as soon as `ready()` is true. `seconds` only ends a test that hangs: nothing is
    measured by it, since a busy machine takes its time.
    """
    async with asyncio.timeout(seconds):
        while not ready():
            await asyncio.sleep(0.005)
