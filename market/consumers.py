"""The public ticker socket: no login, no cookie, no session. `docs/websocket.md` is its protocol.

The consumer stands at the edge only: it admits, parses what the browser asks, and leaves. Frames
go from the hub to the sink without passing here.
"""

import asyncio
import ipaddress
import resource
import time
from collections import Counter
from functools import cache, partial
from typing import Annotated, Any, Literal, NoReturn, cast
from urllib.parse import parse_qs

import msgspec
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from django.conf import settings
from msgspec import UNSET, Meta, UnsetType

from market.frames import text_frame
from market.hub import Hub, Reader, hub
from market.relay import Relay, relay
from market.transport import BrowserSink, agree_to_deflate, sink_for

MAX_BYTES = 16 * 1024  # of one message from a browser
MAX_MESSAGES = 60  # of one browser in a minute
MAX_ERRORS = 3
MAX_NAME = 40
MAX_NAMED = 20  # unknown symbols named in one answer
UNSUPPORTED, POLICY, TOO_BIG = 1003, 1008, 1009  # close codes of RFC 6455 section 7.4

Symbols = list[Annotated[str, Meta(max_length=MAX_NAME)]]


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser may send; exactly one of them in a message."""

    subscribe: Literal["all"] | Symbols | UnsetType = UNSET
    watch: Symbols | UnsetType = UNSET
    resync: Literal[True] | UnsetType = UNSET
    ping: Annotated[int, Meta(ge=-(2**53), le=2**53)] | UnsetType = UNSET


_decode = msgspec.json.Decoder(Request).decode
_encode = msgspec.json.Encoder().encode


class Refused(Exception):
    """A message that cannot be obeyed; `answer` says why, for the browser."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.answer = {"error": code, "message": message, **facts}


class Admission:
    """How many sockets are open: by address, and in all."""

    def __init__(self, per_address: int, total: int) -> None:
        self._per_address = per_address
        self._total = total
        self._open: Counter[str] = Counter()
        self._all = 0

    def enter(self, address: str) -> bool:
        if self._open[address] >= self._per_address or self._all >= self._total:
            return False
        self._open[address] += 1
        self._all += 1
        return True

    def leave(self, address: str) -> None:
        self._open[address] -= 1
        self._all -= 1
        if not self._open[address]:
            del self._open[address]


@cache
def admission() -> Admission:
    """The counts of this process. A fifth of its files stays free for everything else."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Admission(settings.BFX_SOCKETS_PER_ADDRESS, files * 4 // 5)


def household(client: Any) -> str:
    """Whom an address counts for: itself, or its /64 since anyone with IPv6 has all of one."""
    try:
        address = ipaddress.ip_address(client[0])
    except (TypeError, IndexError, ValueError):  # a Unix socket: everyone is one
        return "local"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"


def wanted(query: bytes) -> list[str] | None:
    """The symbols named in `?symbols=a,b`; None, which is all, without it."""
    named = parse_qs(query.decode("latin1"), keep_blank_values=True).get("symbols")
    return None if named is None else [each for each in ",".join(named).split(",") if each]


def parse(text: bytes) -> Request:
    """The request in a message, or Refused."""
    try:
        request = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused("bad_message", str(error)) from error
    if sum(value is not UNSET for value in msgspec.structs.astuple(request)) != 1:
        raise Refused("bad_message", "send one of subscribe, watch, resync, ping")
    return request


def unknown_symbols(symbols: list[str]) -> Refused:
    named = [symbol[:MAX_NAME] for symbol in symbols[:MAX_NAMED]]
    return Refused("unknown_symbols", "no such symbols", symbols=named)


class TickerConsumer(AsyncConsumer):
    """One browser. It has no channel of its own: the hub knows its sink."""

    channel_layer_alias = None

    def __init__(
        self,
        market: Hub | None = None,
        source: Relay | None = None,
        gate: Admission | None = None,
    ) -> None:
        self._hub = market or hub()
        self._relay = source or relay()
        self._gate = gate or admission()
        self._browser: tuple[BrowserSink, Reader] | None = None
        self._aborted = False
        self._errors = 0
        self._minute = float("-inf")
        self._messages = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Runs as long as the socket is open; refuses it before accepting when there are too many
        from its address.
        """
        address = household(scope.get("client"))
        if not self._gate.enter(address):
            await receive()
            await send({"type": "websocket.close"})
            return
        self.scope, self.base_send = scope, send
        try:
            while True:  # Channels would wait by a task, which an idle browser pays for in memory
                await self.dispatch(await receive())
        except StopConsumer:
            pass
        except asyncio.CancelledError:
            if not self._aborted:
                raise
        finally:
            self._gate.leave(address)
            if self._browser is not None:
                self._hub.leave(self._browser[1])

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without the visit to a worker thread by which Channels closes old database connections
        at every message: nothing here touches the database.
        """
        if message["type"] == "websocket.connect":
            await self._connect()
        elif message["type"] == "websocket.receive" and self._browser is not None:
            await self._receive(*self._browser, message)
        else:
            raise StopConsumer

    async def _connect(self) -> None:
        if settings.BFX_DEFLATE:
            agree_to_deflate(self.scope, self.base_send)
        await self.send({"type": "websocket.accept"})
        application = cast("asyncio.Task[Any]", asyncio.current_task())
        sink = sink_for(self.scope, self.base_send, partial(self._abort, application))
        if sink is None:
            return  # gone already: the disconnect follows
        self._relay.start()
        named = wanted(self.scope["query_string"])
        unknown = self._hub.unknown(named or [])
        symbols = None if named is None else frozenset(named).difference(unknown)
        reader = self._hub.join(sink, symbols, time.monotonic())
        sink.on_drain = lambda: self._hub.drained(reader, time.monotonic())
        self._browser = sink, reader
        if unknown:
            self._refuse(sink, unknown_symbols(unknown))

    async def _receive(self, sink: BrowserSink, reader: Reader, message: dict[str, Any]) -> None:
        text = (message.get("text") or "").encode()
        fault = self._fault(message, len(text), time.monotonic())
        if fault is not None:
            await self._close(sink, reader, *fault)
        try:
            self._obey(sink, reader, parse(text))
        except Refused as refused:
            self._refuse(sink, refused)
            if self._errors >= MAX_ERRORS:
                await self._close(sink, reader, POLICY, "too many errors")

    def _fault(self, message: dict[str, Any], size: int, now: float) -> tuple[int, str] | None:
        """Close code and reason for what is not even read."""
        if now - self._minute > 60:
            self._minute, self._messages = now, 0
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            return POLICY, "too many messages"
        if message.get("text") is None:
            return UNSUPPORTED, "text messages only"
        if size > MAX_BYTES:
            return TOO_BIG, "message too big"
        return None

    def _obey(self, sink: BrowserSink, reader: Reader, request: Request) -> None:
        now = time.monotonic()
        if request.ping is not UNSET:
            self._answer(sink, {"pong": request.ping, "now": int(time.time() * 1000)})
        elif request.watch is not UNSET:
            self._hub.watch(reader, self._known(request.watch))
        elif request.subscribe == "all":
            self._hub.subscribe(reader, None, now)
        elif request.subscribe is not UNSET:
            self._hub.subscribe(reader, self._known(request.subscribe), now)
        else:
            self._hub.resync(reader, now)

    def _known(self, symbols: list[str]) -> frozenset[str]:
        unknown = self._hub.unknown(symbols)
        if unknown:
            raise unknown_symbols(unknown)
        return frozenset(symbols)

    def _refuse(self, sink: BrowserSink, refused: Refused) -> None:
        self._errors += 1
        self._answer(sink, refused.answer)

    def _answer(self, sink: BrowserSink, answer: dict[str, Any]) -> None:
        sink.send(text_frame(_encode(answer)))

    def _abort(self, task: "asyncio.Task[Any]") -> None:
        self._aborted = True
        task.cancel()

    async def _close(self, sink: BrowserSink, reader: Reader, code: int, reason: str) -> NoReturn:
        self._hub.leave(reader)
        await sink.close(code, reason)
        raise StopConsumer
