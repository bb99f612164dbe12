"""picows, a WebSocket library in Cython, on uvloop."""

import asyncio

import uvloop
from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from tests.bench.peers.ticks import Relay, arguments, read_ticks

transports: set[WSTransport] = set()


class Browser(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        transports.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        transports.discard(transport)


def listener(_: WSUpgradeRequest) -> WSListener:
    return Browser()


def send(payload: bytes) -> None:
    for transport in transports:
        transport.send(WSMsgType.TEXT, payload)


async def main() -> None:
    args = arguments()
    server = await ws_create_server(listener, "127.0.0.1", args.port, backlog=2048)
    async with server:
        await asyncio.gather(server.serve_forever(), feed(args.feed, args.flush_ms))


async def feed(port: int, flush_ms: int) -> None:
    await read_ticks(port, Relay(flush_ms, send).take)


uvloop.run(main())
