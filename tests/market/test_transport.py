import asyncio
import socket
from functools import partial
from typing import Any, cast

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport

from market.frames import text_frame
from market.transport import (
    TCP_NOTSENT_LOWAT,
    UNSENT_BYTES,
    DirectSink,
    PortableSink,
    TwistedSink,
    accept_deflate,
    agree_to_deflate,
    daphne_protocol,
    sink_for,
)

OPEN, CLOSING = WebSocketServerProtocol.STATE_OPEN, WebSocketServerProtocol.STATE_CLOSING
BIG = b"x" * 8_000_000  # more than any socket buffer


class FakeReactor:
    """Remembers who wants to write; the test plays the loop."""

    def __init__(self):
        self.writers = set()
        self.later = []

    def addReader(self, selectable):
        pass

    removeReader = addReader

    def addWriter(self, selectable):
        self.writers.add(selectable)

    def removeWriter(self, selectable):
        self.writers.discard(selectable)

    def callLater(self, delay, function, *arguments):
        self.later.append(partial(function, *arguments))

    def turn(self):
        for selectable in tuple(self.writers):
            selectable.doWrite()


class Line:
    """A TCP connection on loopback: Twisted's end and the browser's end."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.browser = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
        self.reactor = cast("Any", FakeReactor())
        self.protocol = cast("Any", WebSocketServerProtocol())
        self.protocol.state = OPEN
        self.protocol.websocket_extensions_in_use = []
        self.tcp = Connection(ours, self.protocol, self.reactor)
        self.tcp.connected = 1
        self.protocol.transport = self.tcp
        self.drains = 0

    def sink(self):
        sink = DirectSink(self.protocol)
        sink.on_drain = self.drained
        return sink

    def drained(self):
        self.drains += 1

    def read(self, size):
        data = b""
        while len(data) < size:
            self.reactor.turn()
            data += self.browser.recv(min(65_536, size - len(data)))
        return data

    def close(self):
        self.browser.close()
        if not self.tcp.disconnected:
            self.tcp.getHandle().close()


@pytest.fixture
def line():
    line = Line()
    yield line
    line.close()


@pytest.fixture
def ready(line):
    """A sink whose first frame has left."""
    sink = line.sink()
    sink.send(b"first")
    assert line.read(5) == b"first"
    line.reactor.turn()
    line.drains = 0
    return sink


# Straight into the socket


def test_the_first_frame_stays_behind_the_101_response(line):
    line.tcp.write(b"HTTP/1.1 101\r\n\r\n")
    sink = line.sink()
    sink.send(b"snapshot")
    assert sink.busy
    assert line.read(24) == b"HTTP/1.1 101\r\n\r\nsnapshot"


def test_the_sink_is_free_once_the_first_frame_has_left(line):
    sink = line.sink()
    sink.send(b"first")
    line.reactor.turn()
    assert (sink.busy, line.drains) == (False, 1)


def test_a_free_sink_writes_at_once_without_the_loop(ready, line):
    ready.send(b"price")
    assert (line.reactor.writers, ready.busy) == (set(), False)
    assert line.browser.recv(100) == b"price"


def test_what_the_kernel_refuses_waits_and_the_drain_is_told(ready, line):
    ready.send(BIG)
    assert ready.busy
    assert line.drains == 0
    assert line.read(len(BIG)) == BIG
    line.reactor.turn()
    assert (ready.busy, line.drains) == (False, 1)


def test_a_ping_of_autobahn_never_lands_inside_a_frame(ready, line):
    ready.send(BIG)
    line.protocol.transport.write(b"\x89\x03now")
    assert line.read(len(BIG) + 5) == BIG + b"\x89\x03now"


def test_the_kernel_holds_little_that_is_not_sent(ready, line):
    handle = line.tcp.getHandle()
    assert handle.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT) == UNSENT_BYTES


def test_after_the_close_frame_nothing_is_sent(ready, line):
    line.protocol.state = CLOSING
    ready.send(b"price")
    assert ready.busy
    line.browser.setblocking(False)
    with pytest.raises(BlockingIOError):
        line.browser.recv(100)


def test_a_closing_connection_closes_although_the_sink_is_a_producer(ready, line):
    ready.loseConnection()
    assert line.tcp.producer is None
    assert line.tcp.disconnecting


def test_a_lost_connection_makes_the_sink_busy_for_good(ready, line):
    line.browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.browser.close()
    ready.send(b"price")
    ready.send(b"price")
    assert ready.busy


def test_a_fault_in_the_hub_does_not_close_the_connection(line, caplog):
    sink = line.sink()

    def fault():
        raise RuntimeError("no such row")

    sink.on_drain = fault
    sink.send(b"first")
    line.reactor.turn()
    assert "no such row" in caplog.text
    assert not line.tcp.disconnected


def test_abort_drops_the_connection(ready, line):
    ready.abort()
    assert line.reactor.later


def test_a_stopped_producer_tells_nobody(ready, line):
    ready.stopProducing()
    ready.resumeProducing()
    assert line.drains == 0


async def test_closing_says_code_and_reason_and_hears_no_more(ready, line):
    said = []
    line.protocol.sendCloseFrame = lambda **frame: said.append(frame)
    await ready.close(1008, "too much")
    assert said == [{"code": 1008, "reasonUtf8": b"too much"}]
    assert line.protocol.muted


# Through Twisted's buffer


def through_another_transport(protocol):
    """Not plain TCP, with the producer on it that the HTTP channel leaves."""
    protocol.transport = StringTransport()
    protocol.transport.registerProducer(object(), True)


def test_other_transports_say_by_themselves_when_they_are_full(line):
    through_another_transport(line.protocol)
    sink = TwistedSink(line.protocol)
    sink.on_drain = line.drained
    sink.send(b"price")
    sink.pauseProducing()
    assert (line.protocol.transport.value(), sink.busy) == (b"price", True)
    sink.resumeProducing()
    assert (sink.busy, line.drains) == (False, 1)


# Any server


class FakeServer:
    """The `send` of an ASGI server, which takes messages only while the gate is open."""

    def __init__(self):
        self.sent = []
        self.open = asyncio.Event()
        self.gone = False

    async def send(self, message):
        await self.open.wait()
        if self.gone:
            raise ConnectionError("gone")
        self.sent.append(message)


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def aborts():
    return []


@pytest.fixture
def portable(server, aborts):
    return PortableSink(server.send, partial(aborts.append, True))


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_portable_sink_is_busy_until_the_server_took_the_frame(portable, server):
    drains = []
    portable.on_drain = lambda: drains.append(portable.busy)
    portable.send(text_frame(b"one"))
    await settle()
    assert portable.busy
    server.open.set()
    await settle()
    assert (server.sent, drains) == ([{"type": "websocket.send", "text": "one"}], [False])


async def test_replies_wait_behind_the_frame_under_way(portable, server):
    for text in (b"snapshot", b"pong"):
        portable.send(text_frame(text))
    server.open.set()
    await settle()
    assert [message["text"] for message in server.sent] == ["snapshot", "pong"]


async def test_a_browser_that_is_gone_gets_nothing_more(portable, server):
    server.gone = True
    server.open.set()
    portable.send(text_frame(b"one"))
    await settle()
    assert portable.busy


async def test_abort_gives_up_the_frame_and_ends_the_application(portable, server, aborts):
    portable.send(text_frame(b"one"))
    await settle()
    portable.abort()
    server.open.set()
    await settle()
    assert (aborts, server.sent) == ([True], [])


async def test_abort_before_any_frame_ends_the_application_too(portable, aborts):
    portable.abort()
    assert aborts == [True]


async def test_close_comes_behind_what_waits(portable, server):
    portable.send(text_frame(b"last"))
    server.open.set()
    await portable.close(1008, "enough")
    close = {"type": "websocket.close", "code": 1008, "reason": "enough"}
    assert server.sent == [{"type": "websocket.send", "text": "last"}, close]


async def test_close_does_not_wait_for_a_browser_that_does_not_read(portable, monkeypatch):
    monkeypatch.setattr("market.transport.CLOSE_SECONDS", 0.05)
    portable.send(text_frame(b"last"))
    await portable.close(1008, "enough")
    assert portable.busy


# Compression

OFFERS = {
    "": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "; client_max_window_bits": "permessage-deflate; server_no_context_takeover; "
    "client_no_context_takeover; client_max_window_bits=10",
    "; server_no_context_takeover": "permessage-deflate; server_no_context_takeover; "
    "client_no_context_takeover",
    "; server_max_window_bits=15": None,
}


@pytest.mark.parametrize(("parameters", "answer"), OFFERS.items())
def test_an_offer_that_does_not_limit_our_window_is_taken_without_memory(parameters, answer):
    header = WebSocketServerProtocol()._parseExtensionsHeader(f"permessage-deflate{parameters}")
    offer = PerMessageDeflateOffer.parse(header[0][1])
    accepted = accept_deflate([object(), offer])
    assert (accepted and accepted.get_extension_string()) == answer


def test_only_daphnes_protocol_can_agree_to_compression(line):
    scope = {"extensions": {"bfxdash.protocol": line.protocol}}
    agree_to_deflate(scope, FakeServer().send)
    agree_to_deflate({}, FakeServer().send)
    assert line.protocol.perMessageCompressionAccept is accept_deflate


def test_the_sink_knows_what_was_agreed(line):
    line.protocol.websocket_extensions_in_use = ["permessage-deflate"]
    assert line.sink().deflates


# Which one


def test_daphnes_protocol_is_found_in_the_scope(line, aborts):
    async def send(message: object) -> None:
        pass

    scope = {"extensions": {"bfxdash.protocol": line.protocol}}
    assert daphne_protocol(scope, send) is line.protocol
    assert isinstance(sink_for(scope, send, aborts.clear), DirectSink)


def test_other_protocols_and_servers_are_not_mistaken_for_daphne(aborts):
    async def send(*arguments: object) -> None:
        pass

    for other in (send, partial(send, "a server"), partial(send)):
        assert daphne_protocol({}, other) is None
        assert isinstance(sink_for({}, other, aborts.clear), PortableSink)


def test_a_transport_that_is_not_plain_tcp_gets_the_other_sink(line, aborts):
    scope = {"extensions": {"bfxdash.protocol": line.protocol}}
    through_another_transport(line.protocol)
    assert type(sink_for(scope, FakeServer().send, aborts.clear)) is TwistedSink


def test_a_browser_gone_before_the_first_frame_gets_no_sink(line, aborts):
    scope = {"extensions": {"bfxdash.protocol": line.protocol}}
    line.protocol.state = CLOSING
    assert sink_for(scope, FakeServer().send, aborts.clear) is None
