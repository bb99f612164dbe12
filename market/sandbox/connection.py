"""A WebSocket of the exchange, and how connections are broken."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Iterable

from aiohttp import web

from market.sandbox.rules import Rules
from market.sandbox.stream import Abort, Close, Out, Session, Stall

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


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Break a TCP connection without a word."""
    if not isinstance(transport, asyncio.Transport):
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
