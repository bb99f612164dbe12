"""What every peer does with the loader's ticks, so that only the relaying differs.

A tick line is `[channel, [bid, bid_size, ask, ask_size, change, change_relative, last, volume,
high, low]]`; channel 7 is the symbol `tB0007USD`. A row is the array of the product's socket:
symbol, last, bid, ask, change, change_relative, volume, high, low, seen (ms), source.
"""

import argparse
import asyncio
import time
from collections.abc import Callable

import msgspec

Number = int | float
LIVE = 1
RETRY_S = 0.05


class Tick(msgspec.Struct, array_like=True, frozen=True):
    bid: Number
    bid_size: Number
    ask: Number
    ask_size: Number
    change: Number
    change_relative: Number
    last: Number
    volume: Number
    high: Number
    low: Number


_decode = msgspec.json.Decoder(tuple[int, Tick]).decode
_encode = msgspec.json.Encoder().encode


def symbol_of(channel: int) -> str:
    return f"tB{channel:04d}USD"


def row_of(line: bytes) -> tuple[int, bytes]:
    """The channel and the encoded row of one tick line."""
    channel, t = _decode(line)
    row = (
        *(symbol_of(channel), t.last, t.bid, t.ask, t.change, t.change_relative, t.volume),
        *(t.high, t.low, time.time_ns() // 1_000_000, LIVE),
    )
    return channel, _encode(row)


class Lines(asyncio.Protocol):
    """Splits the feed into lines; `take` gets all complete lines of one read."""

    def __init__(self, take: Callable[[list[bytes]], None]) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._take = take
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._take(lines)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


async def read_ticks(port: int, take: Callable[[list[bytes]], None]) -> None:
    """Reads the loader's feed until it ends; waits for the loader to listen."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            _, lines = await loop.create_connection(lambda: Lines(take), "127.0.0.1", port)
        except OSError:
            await asyncio.sleep(RETRY_S)
        else:
            await lines.closed


class Relay:
    """Ticks to messages: one a tick, or the newest row of each symbol once in `flush_ms`.

    The first change after a quiet time goes out at once, later ones when the interval is over.
    `send` gets the text of one message.
    """

    def __init__(self, flush_ms: int, send: Callable[[bytes], None]) -> None:
        self._interval = flush_ms / 1000
        self._send = send
        self._dirty: dict[int, bytes] = {}
        self._waiting = False

    def take(self, lines: list[bytes]) -> None:
        if not self._interval:
            for line in lines:
                self._send(b'{"rows":[' + row_of(line)[1] + b"]}")
            return
        self._dirty.update(map(row_of, lines))
        if not self._waiting:
            self._flush()

    def _flush(self) -> None:
        self._waiting = bool(self._dirty)
        if self._dirty:
            asyncio.get_running_loop().call_later(self._interval, self._flush)
            rows, self._dirty = self._dirty, {}
            self._send(b'{"rows":[' + b",".join(rows.values()) + b"]}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--feed", type=int, required=True)
    parser.add_argument("--flush-ms", type=int, default=0)
    parser.add_argument("--deflate", action="store_true")
    return parser.parse_args()
