"""The exchange on the network: one port for REST, WebSocket and the key page, the next one for its
controls (see `control`).

Everything that decides lives elsewhere; here are sockets, the clock, and the files that survive.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import WSMsgType, web

from market.sandbox import rest
from market.sandbox.connection import Connection
from market.sandbox.control import Control
from market.sandbox.faults import Outs
from market.sandbox.house import House
from market.sandbox.key_web import KeyWeb
from market.sandbox.keys import rest_call
from market.sandbox.replay import Recording, Replay
from market.sandbox.replies import response, send
from market.sandbox.rules import Rates
from market.sandbox.state import Market, read_symbols
from market.sandbox.store import Store
from market.sandbox.stream import Session
from market.sandbox.topics import Source

HOST = "127.0.0.1"
TICK_SECONDS = 0.02
SAVE_SECONDS = 1.0


class Exchange:
    """The running exchange: its rooms, its connections, its files in the folder `state`."""

    def __init__(self, source: Source, rates: Rates, *, seed: int, state: Path | None) -> None:
        self._house = House(source, rates, seed)
        self._connections: dict[Session, Connection] = {}
        self._limits = state / "limits.json" if state else None
        self._state = state / "accounts.sqlite3" if state else None
        self._store: Store | None = None
        self.clock: asyncio.Task[None]
        self._wall, self._monotonic = time.time(), time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch that never go back."""
        return self._wall + time.monotonic() - self._monotonic

    def load(self) -> None:
        """Take up what an earlier run left: penalties, keys, money, orders.

        Raises ValueError or sqlite3.Error for files that are none.
        """
        if self._limits and self._limits.exists():
            self._house.rules.load(self._limits.read_bytes())
        if self._state:
            self._store = Store(self._state)
            self._house.load(self._store)

    def save(self) -> None:
        """Store the penalties; the accounts are stored with every call."""
        self._keep()
        if self._limits and self._house.rules.changed:
            self._limits.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._limits.with_suffix(".new")
            fresh.write_bytes(self._house.rules.dump())
            fresh.replace(self._limits)

    def _keep(self) -> None:
        """Store what a call changed, before its answer leaves."""
        rows = self._house.changes.take()
        if rows and self._store:
            self._store.write(rows)

    @contextlib.asynccontextmanager
    async def serving(self, port: int, control_port: int | None) -> AsyncIterator[tuple[int, int]]:
        """Listen and let time pass; yields the two ports. 0 takes free ones.

        Raises OSError when a port is taken.
        """
        async with contextlib.AsyncExitStack() as stack:
            if self._store:
                stack.callback(self._store.close)
            public = await _listen(stack, self._public(), port)
            if control_port is None:
                control_port = public + 1 if port else 0
            controls = Control(self._house, self._send, self.now, self._keep)
            control = await _listen(stack, controls.app(), control_port)
            stack.callback(self.save)
            self.clock = asyncio.create_task(self._live())
            stack.callback(self.clock.cancel)
            yield public, control

    async def _live(self) -> None:
        """Let time pass: the market moves, connections are served, penalties are kept."""
        saved = self.now()
        while True:
            now = self.now()
            self._advance(now)
            if now - saved >= SAVE_SECONDS:
                saved = now
                self.save()
            await asyncio.sleep(TICK_SECONDS)

    def _advance(self, now: float) -> None:
        outs = self._house.advance(now)
        self._keep()
        self._send(outs)

    def _send(self, outs: Outs) -> None:
        for session, texts in outs:
            connection = self._connections.get(session)
            if connection is not None:
                connection.put(texts)

    def _public(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/ws/2", self._websocket)
        KeyWeb(self._house, self._send, self.now, self._keep).add_routes(app)
        app.router.add_route("*", "/{path:.*}", self._rest)
        return app

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        house, name, body = self._house, rest.endpoint(request.path), await request.read()
        if wait := house.faults.wait_up(name):
            await asyncio.sleep(wait)
        now = self.now()
        self._advance(now)
        path = request.path.removeprefix("/v2/")
        call = rest_call(path, request.headers, body) if path.startswith("auth/") else None
        if not house.rules.request(_address(request), name, now):
            if call:
                house.keys.note(call, now, "ERR_RATE_LIMIT")
            return response(rest.rate_limited())
        if stopped := house.faults.stop_call(name):
            if stopped.block:
                house.rules.block(_address(request), now)
            if call:
                house.keys.note(call, now, "fault")
            return await send(request, stopped.spoiled)
        if call:
            reply = house.account.answer(request.method, call, body, now)
            self._keep()
            self._send(house.tell(now))
        else:
            reply = rest.answer(
                request.method, request.path, request.query, house.source,
                platform=house.streams.platform,
            )  # fmt: skip
        return await send(request, house.faults.spoil(name, reply))

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        if not socket_.can_prepare(request).ok:
            return response(rest.not_found(request.method, request.path))
        status = self._house.faults.refused()
        if status is not None:
            return response(rest.html(status, str(status), f"<h1>Error {status}</h1>"))
        if not self._house.rules.connect(_address(request), self.now()):
            return response(rest.rate_limited())
        await socket_.prepare(request)
        transport = request.transport
        if transport is None:
            return socket_
        await self._converse(socket_, transport, _address(request))
        return socket_

    async def _converse(
        self, socket_: web.WebSocketResponse, transport: asyncio.Transport, address: str
    ) -> None:
        streams = self._house.streams
        session, greeting = streams.connect(self.now(), address)
        connection = Connection(socket_, transport, session)
        self._connections[session] = connection
        pump = asyncio.create_task(connection.pump(self._house.rules))
        connection.put(greeting)
        try:
            async for message in socket_:
                if message.type == WSMsgType.TEXT:
                    now = self.now()
                    self._advance(now)
                    outs = streams.receive(session, message.data, now)
                    self._keep()
                    connection.put(outs)
                    self._send(self._house.tell(now))
        finally:
            pump.cancel()
            streams.disconnect(session, self.now())
            del self._connections[session]
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await pump


def _address(request: web.Request) -> str:
    return request.remote or ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `manage.py sandbox` and `python -m market.sandbox`."""
    add = parser.add_argument
    add("--port", type=int, default=8900, help="port of the exchange (8900); 0 takes a free one")
    add("--control-port", type=int, default=None, help="port of the controls (the next one)")
    add("--seed", type=int, default=1, help="seed of the made-up market (1)")
    add("--symbols", default="", help="of the made-up market, by commas: tBTCUSD,fUSD (all)")
    add("--replay", type=Path, help="play this recording instead of a made-up market")
    add("--rate", type=float, default=50.0, help="frames a second of a recording without times")
    add("--speed", type=float, default=1.0, help="factor on the recording's own times")
    add("--state-dir", type=Path, help="where rate windows and penalties survive a restart")
    add("--rates", default=os.environ.get("BFX_RATES", ""), help="JSON as in BFX_RATES")
    add("--exit-with-parent", action="store_true", help="stop when standard input ends")


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, SIGINT or, if so asked, the end of standard input.

    Raises OSError when a port is taken or a file cannot be read, ValueError for bad limits, a bad
    recording or an unknown symbol.
    """
    rates = Rates.read(options.rates)
    source: Source
    if options.replay:
        source = Replay(Recording.read(options.replay, options.rate), options.speed)
    else:
        source = Market(options.seed, time.time(), read_symbols(options.symbols))
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
    except (OSError, ValueError, sqlite3.Error) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    return 0
