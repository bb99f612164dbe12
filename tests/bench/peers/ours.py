"""The product: its server, consumer, hub and transport; only the exchange's side is short-cut.

The loader's ticks go through the ticker struct, the quote book and the hub in this process, as in
embedded mode; `BFX_FLUSH_MS` is the hub's window. `BENCH_BLOCK_MS` is the length of a blocking
call made once a second through `sync_to_async`.
"""

import asyncio
import os
import sys
import time

import django
import msgspec
from asgiref.sync import sync_to_async
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bfxdash.settings")
django.setup()

from bfxdash.server import serve  # noqa: E402
from market.bitfinex.messages import Ticker  # noqa: E402
from market.hub import hub  # noqa: E402
from market.quotes import FeedStatus, QuoteBook, Source  # noqa: E402
from market.relay import relay  # noqa: E402
from tests.bench.peers.ticks import arguments, read_ticks, symbol_of  # noqa: E402

ARGS = arguments()
BLOCK_MS = int(os.environ.get("BENCH_BLOCK_MS", "0"))
SYMBOLS = [symbol_of(channel) for channel in range(10_000)]
decode = msgspec.json.Decoder(tuple[int, Ticker]).decode


async def feed() -> None:
    """Where `market.feed` stands in the product."""
    book, target, flusher = QuoteBook(), hub(), relay()
    per_tick = settings.BFX_FLUSH_MS == 0
    began_ms = int(time.time() * 1000)
    status = FeedStatus(state="live", since=began_ms, at=began_ms, sockets=1, wanted=1)

    def take(lines: list[bytes]) -> None:
        now_ms = int(time.time() * 1000)
        for line in lines:
            channel, ticker = decode(line)
            book.apply_ticker(SYMBOLS[channel], ticker, now_ms, Source.LIVE)
            if per_tick:
                pass_on()
        if not per_tick:
            pass_on()

    def pass_on() -> None:
        target.apply(book.take_changed(), status, time.monotonic())
        flusher.wake()

    await read_ticks(ARGS.feed, take)


async def block() -> None:
    while True:
        await asyncio.sleep(1)
        await sync_to_async(time.sleep)(BLOCK_MS / 1000)


tasks = [feed, block] if BLOCK_MS else [feed]
sys.exit(serve("127.0.0.1", ARGS.port, tasks=tasks))
