"""The exchange on the network: one port for REST and WebSocket, the next one for its controls.

Everything that decides lives elsewhere; here are sockets, the clock, and the file of penalties.

The control port answers JSON: `GET /counters`, `GET /replay`, `POST /faults`, `DELETE /faults`
(see `faults`), `POST /price`.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from market.sandbox import rest
from market.sandbox.faults import Faults, Spoiled
from market.sandbox.replay import Recording, Replay
from market.sandbox.rules import Rates, Rules
from market.sandbox.state import Market
from market.sandbox.stream import Abort, Close, Out, Session, Stall, Streams
from market.sandbox.topics import Refused, Source

HOST = "127.0.0.1"
TICK_SECONDS = 0.02
SAVE_SECONDS = 1.0
MOST_WAITING = 20_000
"""Frames a connection may leave unread before it is cut."""


class Connection:
    """A WebSocket and the frames on their way into it."""

    def __init__(
        self, socket_: web.WebSocketResponse, transport: asyncio.Transport, session: Session
    ) -> None:
        self._socket, self._transport, self._session = socket_, transport, session
        self._waiting: deque[str | Close] = deque()
        self._wake = asyncio.Event()

    def put(self, outs: Iterable[Out]) -> None:
        """Queue frames; a reset or a stall happens at once, whatever is still unsent."""
        for out in outs:
            if isinstance(out, Stall):
                self._session.stalled = True
                self._transport.pause_reading()
            elif isinstance(out, Abort) or len(self._waiting) > MOST_WAITING:
                reset(self._transport)
                return
            elif not self._session.silent and not self._session.stalled:
                self._waiting.append(out)
        self._wake.set()

    async def pump(self, rules: Rules) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                out = self._waiting.popleft()
                if isinstance(out, Close):
                    await self._socket.close(code=out.code, message=out.reason.encode())
                else:
                    await self._socket.send_str(out)
                    rules.counters.frames_sent += 1


def reset(transport: asyncio.Transport) -> None:
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Exchange:
    """The running exchange: a source, its rules, its connections."""

    def __init__(self, source: Source, rates: Rates, *, seed: int, state: Path | None) -> None:
        self._source = source
        self._rules = Rules(rates)
        self._streams = Streams(source, self._rules, seed)
        self._faults = Faults(self._streams)
        self._connections: dict[Session, Connection] = {}
        self._state = state / "limits.json" if state else None
        self.clock: asyncio.Task[None]
        self._wall, self._monotonic = time.time(), time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch that never go back."""
        return self._wall + time.monotonic() - self._monotonic

    def load(self) -> None:
        """Take up the penalties of an earlier run; a file that is none stops the start."""
        if self._state and self._state.exists():
            self._rules.load(self._state.read_bytes())

    def save(self) -> None:
        if self._state and self._rules.changed:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._state.with_suffix(".new")
            fresh.write_bytes(self._rules.dump())
            fresh.replace(self._state)

    @contextlib.asynccontextmanager
    async def serving(self, port: int, control_port: int | None) -> AsyncIterator[tuple[int, int]]:
        """Listen and let time pass; yields the two ports. 0 takes free ones.

        Raises OSError when a port is taken.
        """
        async with contextlib.AsyncExitStack() as stack:
            public = await _listen(stack, self._public(), port)
            if control_port is None:
                control_port = public + 1 if port else 0
            control = await _listen(stack, self._control(), control_port)
            stack.callback(self.save)
            self.clock = asyncio.create_task(self._live())
            stack.callback(self.clock.cancel)
            yield public, control

    async def _live(self) -> None:
        """Let time pass: the market moves, connections are served, penalties are kept."""
        saved = self.now()
        while True:
            now = self.now()
            self._send(self._streams.advance(now))
            if now - saved >= SAVE_SECONDS:
                saved = now
                self.save()
            await asyncio.sleep(TICK_SECONDS)

    def _send(self, outs: list[tuple[Session, list[Out]]]) -> None:
        for session, texts in outs:
            connection = self._connections.get(session)
            if connection is not None:
                connection.put(texts)

    # The exchange's own port

    def _public(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/ws/2", self._websocket)
        app.router.add_route("*", "/{path:.*}", self._rest)
        return app

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        name = rest.endpoint(request.path)
        now = self.now()
        self._send(self._streams.advance(now))
        if not self._rules.request(_address(request), name, now):
            return _response(rest.rate_limited())
        reply = rest.answer(
            request.method, request.path, request.query, self._source,
            platform=self._streams.platform,
        )  # fmt: skip
        spoiled = self._faults.spoil(name, reply)
        if spoiled.wait:
            await asyncio.sleep(spoiled.wait)
        return await _cut(request, spoiled) if spoiled.cut else _response(spoiled.reply)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        if not socket_.can_prepare(request).ok:
            return _response(rest.not_found(request.method, request.path))
        status = self._faults.refused()
        if status is not None:
            return _response(rest.html(status, str(status), f"<h1>Error {status}</h1>"))
        if not self._rules.connect(_address(request), self.now()):
            return _response(rest.rate_limited())
        await socket_.prepare(request)
        transport = request.transport
        if transport is None:
            return socket_
        await self._converse(socket_, transport)
        return socket_

    async def _converse(self, socket_: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        session, greeting = self._streams.connect(self.now())
        connection = Connection(socket_, transport, session)
        self._connections[session] = connection
        pump = asyncio.create_task(connection.pump(self._rules))
        connection.put(greeting)
        try:
            async for message in socket_:
                if message.type == WSMsgType.TEXT:
                    now = self.now()
                    self._send(self._streams.advance(now))
                    connection.put(self._streams.receive(session, message.data, now))
        finally:
            pump.cancel()
            self._streams.disconnect(session)
            del self._connections[session]
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await pump

    # The control port

    def _control(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/counters", self._counters)
        app.router.add_get("/replay", self._replay)
        app.router.add_post("/faults", self._fault)
        app.router.add_delete("/faults", self._no_faults)
        app.router.add_post("/price", self._price)
        return app

    async def _counters(self, request: web.Request) -> web.Response:
        report = self._rules.counters.report()
        report["connections"]["open"] = len(self._connections)
        report["channels"]["open"] = self._streams.open_channels()
        return _json(report)

    async def _replay(self, request: web.Request) -> web.Response:
        if not isinstance(self._source, Replay):
            return _json({"error": "no recording is played"}, 404)
        return _json(self._source.position())

    async def _fault(self, request: web.Request) -> web.Response:
        try:
            arguments = await _arguments(request)
            kind = str(arguments.pop("kind", ""))
            self._send(self._faults.start(kind, arguments))
        except _BAD as error:
            return _json({"error": f"{error.args[0]}"}, 400)
        return _json({"kind": kind})

    async def _no_faults(self, request: web.Request) -> web.Response:
        self._send(self._faults.stop())
        return _json({})

    async def _price(self, request: web.Request) -> web.Response:
        try:
            return _json(self._source.control("price", await _arguments(request)))
        except _BAD as error:
            return _json({"error": f"{error.args[0]}"}, 400)


_BAD = (Refused, KeyError, TypeError, ValueError)


async def _arguments(request: web.Request) -> dict[str, Any]:
    return msgspec.json.decode(await request.read(), type=dict[str, Any])


def _address(request: web.Request) -> str:
    return request.remote or ""


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def _response(reply: rest.Reply) -> web.Response:
    return web.Response(
        text=reply.body, status=reply.status, content_type=reply.content_type, charset="utf-8"
    )


async def _cut(request: web.Request, spoiled: Spoiled) -> web.StreamResponse:
    """Promise the whole body, send half of it, and break the connection."""
    body = spoiled.reply.body.encode()
    response = web.StreamResponse(status=spoiled.reply.status)
    response.content_type = spoiled.reply.content_type
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        reset(request.transport)
    return response


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `manage.py sandbox` and `python -m market.sandbox`."""
    add = parser.add_argument
    add("--port", type=int, default=8900, help="port of the exchange (8900); 0 takes a free one")
    add("--control-port", type=int, default=None, help="port of the controls (the next one)")
    add("--seed", type=int, default=1, help="seed of the made-up market (1)")
    add("--replay", type=Path, help="play this recording instead of a made-up market")
    add("--rate", type=float, default=50.0, help="frames a second of a recording without times")
    add("--speed", type=float, default=1.0, help="factor on the recording's own times")
    add("--state-dir", type=Path, help="where rate windows and penalties survive a restart")
    add("--rates", default=os.environ.get("BFX_RATES", ""), help="JSON as in BFX_RATES")
    add("--exit-with-parent", action="store_true", help="stop when standard input ends")


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, SIGINT or, if so asked, the end of standard input.

    Raises OSError when a port is taken or a file cannot be read, ValueError for bad limits or a
    bad recording.
    """
    rates = Rates.read(options.rates)
    source: Source
    if options.replay:
        source = Replay(Recording.read(options.replay, options.rate), options.speed)
    else:
        source = Market(options.seed, time.time())
    exchange = Exchange(source, rates, seed=options.seed, state=options.state_dir)
    exchange.load()
    async with exchange.serving(options.port, options.control_port) as (port, control):
        sys.stdout.write(f"sandbox ready http://{HOST}:{port} control http://{HOST}:{control}\n")
        sys.stdout.flush()
        await _until_told(exchange, exit_with_parent=options.exit_with_parent)


async def _listen(stack: contextlib.AsyncExitStack, app: web.Application, port: int) -> int:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, HOST, port, backlog=1024)
    await site.start()
    return int(runner.addresses[0][1])


async def _until_told(exchange: Exchange, *, exit_with_parent: bool) -> None:
    """Wait for a signal, the end of stdin, or the clock's failure (which is raised)."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    if exit_with_parent:

        def watch() -> None:
            while os.read(sys.stdin.fileno(), 4096):  # unbuffered: no lock is held at the end
                pass
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(told.set)

        threading.Thread(target=watch, daemon=True).start()
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait((exchange.clock, waiting), return_when=asyncio.FIRST_COMPLETED)
    if exchange.clock.done():
        exchange.clock.result()
    waiting.cancel()


def run(options: argparse.Namespace) -> int:
    """Serve; 0 after an orderly end, 1 with the reason on standard error."""
    try:
        asyncio.run(serve(options))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    return 0
