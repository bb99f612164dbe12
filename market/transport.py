"""How frames reach one browser: straight into its TCP socket under Daphne, by a task elsewhere.

Daphne's own way is neither fast nor bounded: each message is framed anew and buffered without
limit for a browser that does not read (django/daphne issue 170).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import structlog
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from twisted.internet.tcp import Connection

from market.frames import text_of

log = structlog.get_logger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]

# Bytes the kernel may hold that are not sent yet. Without it megabytes of old prices wait in the
# kernel for a slow browser, whatever the limits of the process.
UNSENT_BYTES = 16 * 1024
TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
CLOSE_SECONDS = 1.0
BROWSER_WINDOW_BITS = 10  # of what a browser compresses: it sends little

_OPEN = WebSocketServerProtocol.STATE_OPEN


class BrowserSink(Protocol):
    """A `market.hub.Sink` that also says when it has drained, and can be closed politely."""

    busy: bool
    deflates: bool
    on_drain: Callable[[], None]

    def send(self, frame: bytes) -> None: ...

    def abort(self) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


def _nobody() -> None:
    """Nobody waits for the drain yet."""


class TwistedSink:
    """Any transport under Daphne, TLS too: busy while Twisted holds more than its 64 KiB."""

    streaming = True  # a push producer: Twisted says when to pause

    def __init__(self, protocol: Any) -> None:
        self.busy = False
        self.deflates = bool(protocol.websocket_extensions_in_use)
        self.on_drain: Callable[[], None] = _nobody
        self._protocol = protocol
        self._transport = protocol.transport
        self._transport.unregisterProducer()  # the HTTP channel's, which would pause our reading
        self._transport.registerProducer(self, self.streaming)

    def send(self, frame: bytes) -> None:
        """One whole frame. After a close frame nothing may follow: then it stays busy."""
        if self._protocol.state == _OPEN:
            self.write(frame)
        else:
            self.busy = True

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def abort(self) -> None:
        self._transport.abortConnection()

    async def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; what the browser still says is not listened to.

        Past Daphne, whose own way knows no code from 1001 to 2999.
        """
        self._protocol.muted = True
        self._protocol.sendCloseFrame(code=code, reasonUtf8=reason.encode())

    def pauseProducing(self) -> None:
        self.busy = True

    def resumeProducing(self) -> None:
        """Twisted's buffer is empty."""
        self.busy = False
        try:
            self.on_drain()
        except Exception:  # Twisted would close the connection, and Daphne hide why
            log.exception("a browser could not be brought up to date")

    def stopProducing(self) -> None:
        """The connection is lost."""
        self.busy = True
        self.on_drain = _nobody


class DirectSink(TwistedSink):
    """Plain TCP under Daphne: one `send(2)` at once; Twisted gets only what the kernel refuses.

    It takes the place of the protocol's transport, so that autobahn's pings and close frames pass
    the same writer and no two frames mix. It starts busy, behind the 101 response that may still
    be in Twisted's buffer; the first frame sent brings the first drain.
    """

    streaming = False  # a pull producer: asked for more whenever the buffer is empty

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)
        handle = self._transport.getHandle()
        # Not writeSomeData, whose two layers of Python cost a seventh of a whole send(2).
        self._send_some = handle.send
        with suppress(OSError):  # not every kernel knows it, nor a Unix socket
            handle.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self.busy = True  # registering has just called resumeProducing
        protocol.transport = self

    def write(self, data: bytes) -> None:
        if self.busy:
            self._transport.write(data)
            return
        try:
            sent = self._send_some(data)
        except OSError:  # full, or lost: Twisted finds out with the write below
            sent = 0
        if sent < len(data):
            self.busy = True
            self._transport.write(data[sent:])

    def loseConnection(self) -> None:
        """Twisted never closes while a pull producer is registered."""
        self._transport.unregisterProducer()
        self._transport.loseConnection()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class PortableSink:
    """Any other server: one task awaits `send`, and while it does the sink is busy.

    Frames that come all the same (replies, the first snapshot) wait in order; the hub sends none
    while the sink is busy, and replies are limited with the messages they answer.
    """

    deflates = False  # compression is that server's own business

    def __init__(self, send: Send, on_abort: Callable[[], None]) -> None:
        self.busy = False
        self.on_drain: Callable[[], None] = _nobody
        self._send = send
        self._on_abort = on_abort
        self._waiting: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def send(self, frame: bytes) -> None:
        self._waiting.append(frame)
        if not self.busy:
            self.busy = True
            self._task = asyncio.get_running_loop().create_task(self._deliver())

    def abort(self) -> None:
        self._stop()
        self._on_abort()

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye behind what still waits, but not for long: the browser may not be reading."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._task is not None:
                    await asyncio.wait([self._task])
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        self._stop()

    def _stop(self) -> None:
        self.busy = True
        self.on_drain = _nobody
        if self._task is not None:
            self._task.cancel()

    async def _deliver(self) -> None:
        while self._waiting:
            text = text_of(self._waiting.pop(0)).decode()
            try:
                await self._send({"type": "websocket.send", "text": text})
            except Exception as error:  # noqa: BLE001 - each server has its own for "gone"
                log.debug("a browser went away", reason=repr(error))
                return  # still busy: nothing more is sent, the disconnect message follows
        self.busy = False
        self.on_drain()


def sink_for(scope: dict[str, Any], send: Send, on_abort: Callable[[], None]) -> BrowserSink | None:
    """The fastest way to this browser, None if it has gone already. Call it after the accept.

    `on_abort` must end the ASGI application; under Daphne the connection itself is aborted.
    """
    protocol = daphne_protocol(scope, send)
    if protocol is None:
        return PortableSink(send, on_abort)
    if protocol.state != _OPEN:
        return None
    # TLS wraps the connection in a transport of another class.
    plain_tcp = isinstance(protocol.transport, Connection) and not protocol.transport.TLS
    return DirectSink(protocol) if plain_tcp else TwistedSink(protocol)


def agree_to_deflate(scope: dict[str, Any], send: Send) -> None:
    """Take this browser's offer of compression, if it makes one. Call it before the accept.

    For public data only: next to a secret the length of a compressed message tells of it.
    """
    protocol = daphne_protocol(scope, send)
    if protocol is not None:
        protocol.perMessageCompressionAccept = accept_deflate


def accept_deflate(offers: Sequence[Any]) -> PerMessageDeflateOfferAccept | None:
    """The first offer that a frame made for all can satisfy: one that limits our window cannot.

    Neither side remembers earlier messages, so idle browsers cost no compression state.
    """
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer) and not offer.request_max_window_bits:
            offer.request_no_context_takeover = True  # said in the answer even if not asked
            return PerMessageDeflateOfferAccept(  # type: ignore[no-untyped-call]
                offer,
                request_no_context_takeover=True,
                request_max_window_bits=BROWSER_WINDOW_BITS if offer.accept_max_window_bits else 0,
                no_context_takeover=True,
            )
    return None


def daphne_protocol(scope: dict[str, Any], send: Send) -> Any:
    """Daphne's protocol behind this socket, or None under another server.

    `bfxdash.server` passes it in the scope; plain `daphne` has it as the argument bound to
    `Server.handle_reply`.
    """
    protocol = scope.get("extensions", {}).get("bfxdash.protocol")
    if protocol is None and isinstance(send, partial) and send.args:
        protocol = send.args[0]
    return protocol if isinstance(protocol, WebSocketServerProtocol) else None
