"""`websockets.broadcast` on uvloop, as its documentation shows it."""

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from tests.bench.peers.ticks import Relay, arguments, read_ticks

connections: set[ServerConnection] = set()


async def handler(connection: ServerConnection) -> None:
    connections.add(connection)
    try:
        await connection.wait_closed()
    finally:
        connections.remove(connection)


def send(payload: bytes) -> None:
    broadcast(connections, payload.decode())


async def main() -> None:
    args = arguments()
    compression = "deflate" if args.deflate else None
    async with serve(handler, "127.0.0.1", args.port, compression=compression, backlog=2048):
        await read_ticks(args.feed, Relay(args.flush_ms, send).take)


uvloop.run(main())
