"""The public ticker socket: no login, no cookie, no session. `docs/websocket.md` is its protocol.

The consumer stands at the edge only: it admits, parses what the browser asks, and leaves. Frames
go from the hub to the sink without passing here.
"""

import asyncio
import ipaddress
import resource
import time
from collections import Counter
from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

import msgspec
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from django.conf import settings
from msgspec import UNSET, Meta, UnsetType

from market.frames import text_frame
from market.hub import Reader, hub
from market.relay import relay
from market.transport import BrowserSink, sink_for

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
    return str(ipaddress.ip_network((address, 64), strict=False))


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


class TickerConsumer(AsyncConsumer):
    """One browser. It has no channel of its own: the hub knows its sink."""

    channel_layer_alias = None

    def __init__(self) -> None:
        self._sink: BrowserSink | None = None
        self._reader: Reader | None = None
        self._task: asyncio.Task[Any] | None = None
        self._aborted = False
        self._errors = 0
        self._minute = float("-inf")
        self._messages = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Runs as long as the socket is open; refuses it before accepting when there are too many
        from its address.
        """
        address = household(scope.get("client"))
        if not admission().enter(address):
            await receive()
            await send({"type": "websocket.close"})
            return
        self._task = asyncio.current_task()
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            if not self._aborted:
                raise
        finally:
            admission().leave(address)
            if self._reader is not None:
                hub().leave(self._reader)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without the visit to a worker thread by which Channels closes old database connections
        at every message: nothing here touches the database.
        """
        if message["type"] == "websocket.connect":
            await self._connect()
        elif message["type"] == "websocket.receive" and self._sink is not None:
            await self._receive(self._sink, message)
        else:
            raise StopConsumer

    async def _connect(self) -> None:
        await self.send({"type": "websocket.accept"})
        self._sink = sink_for(self.scope, self.base_send, self._abort)
        if self._sink is None:
            return
        relay().start()
        named = wanted(self.scope["query_string"])
        unknown = hub().unknown(named or [])
        symbols = None if named is None else frozenset(named).difference(unknown)
        self._reader = hub().join(self._sink, symbols, time.monotonic())
        self._sink.on_drain = self._drained
        if unknown:
            self._refuse(self._sink, unknown_symbols(unknown))

    async def _receive(self, sink: BrowserSink, message: dict[str, Any]) -> None:
        text = (message.get("text") or "").encode()
        if message.get("text") is None:
            await self._close(sink, UNSUPPORTED, "text messages only")
        if len(text) > MAX_BYTES:
            await self._close(sink, TOO_BIG, "message too big")
        if self._too_many(time.monotonic()):
            await self._close(sink, POLICY, "too many messages")
        try:
            self._obey(sink, parse(text))
        except Refused as refused:
            self._refuse(sink, refused)
            if self._errors >= MAX_ERRORS:
                await self._close(sink, POLICY, "too many errors")

    def _obey(self, sink: BrowserSink, request: Request) -> None:
        reader, now = self._reader, time.monotonic()
        if reader is None:
            return
        if request.ping is not UNSET:
            self._answer(sink, {"pong": request.ping, "now": int(time.time() * 1000)})
        elif request.resync is not UNSET:
            hub().resync(reader, now)
        elif request.watch is not UNSET:
            hub().watch(reader, known(request.watch))
        elif request.subscribe == "all":
            hub().subscribe(reader, None, now)
        elif request.subscribe is not UNSET:
            hub().subscribe(reader, known(request.subscribe), now)

    def _too_many(self, now: float) -> bool:
        if now - self._minute > 60:
            self._minute, self._messages = now, 0
        self._messages += 1
        return self._messages > MAX_MESSAGES

    def _refuse(self, sink: BrowserSink, refused: Refused) -> None:
        self._errors += 1
        self._answer(sink, refused.answer)

    def _answer(self, sink: BrowserSink, answer: dict[str, Any]) -> None:
        sink.send(text_frame(_encode(answer)))

    def _drained(self) -> None:
        if self._reader is not None:
            hub().drained(self._reader, time.monotonic())

    def _abort(self) -> None:
        self._aborted = True
        if self._task is not None:
            self._task.cancel()

    async def _close(self, sink: BrowserSink, code: int, reason: str) -> None:
        if self._reader is not None:
            hub().leave(self._reader)
        await sink.close(code, reason)
        raise StopConsumer


def known(symbols: list[str]) -> frozenset[str]:
    """The symbols as a set, or Refused when the table does not have them all."""
    unknown = hub().unknown(symbols)
    if unknown:
        raise unknown_symbols(unknown)
    return frozenset(symbols)


def unknown_symbols(symbols: list[str]) -> Refused:
    named = [symbol[:MAX_NAME] for symbol in symbols[:MAX_NAMED]]
    return Refused("unknown_symbols", "no such symbols", symbols=named)
