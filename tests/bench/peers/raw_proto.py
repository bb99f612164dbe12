"""The ceiling: an asyncio protocol on uvloop that writes one prebuilt frame to every socket.

It reads nothing after the handshake, keeps no order or bound, and knows no subscriptions: what is
left is the cost of the system calls, which no relay written in Python gets below.
"""

import asyncio
import base64
import hashlib
from typing import cast

import uvloop

from tests.bench.peers.ticks import Relay, arguments, read_ticks

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
sockets: set[asyncio.WriteTransport] = set()


def frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Socket(asyncio.Protocol):
    def __init__(self) -> None:
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        if self._transport in sockets:
            return
        self._request += data
        if not self._request.endswith(b"\r\n\r\n"):
            return
        lines = self._request.lower().split(b"\r\n")
        at = next(i for i, line in enumerate(lines) if line.startswith(b"sec-websocket-key:"))
        key = self._request.split(b"\r\n")[at].split(b":", 1)[1].strip()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        sockets.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        sockets.discard(self._transport)


def send(payload: bytes) -> None:
    data = frame(payload)
    for transport in sockets:
        transport.write(data)


async def main() -> None:
    args = arguments()
    loop = asyncio.get_running_loop()
    await loop.create_server(Socket, "127.0.0.1", args.port, backlog=2048)
    await read_ticks(args.feed, Relay(args.flush_ms, send).take)


uvloop.run(main())
