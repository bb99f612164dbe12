"""Two small measurements for P13: `decode` and `hop`. Prints one JSON object.

decode: a ticker frame to the newest quote of its symbol, by our stream protocol and quote book,
and by `json.loads` into a dict of dicts. hop: a batch from `group_send` to its receiver, through
the in-process layer and through Redis.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings

FRAMES = 200_000
CHUNKS = 10
SYMBOLS = 100
BATCHES = 40
BATCH_ROWS = 100
BETWEEN_S = 0.05


def frames() -> list[bytes]:
    """Ticker frames off the wire of a connection with 20 channels and sequence numbers on."""
    made = []
    for n in range(FRAMES // CHUNKS):
        price = 50_000 + n % 997
        values = f"{price - 1},12.34567891,{price + 1},8.76543219,{n % 89}.5,0.0123,{price}.5"
        made.append(f"[{n % 20 + 100},[{values},{n}.25,51234,49321.5],{n + 1}]".encode())
    return made


def ours(data: list[bytes]) -> Callable[[], None]:
    from market.bitfinex.events import Channel, TickerSeen
    from market.bitfinex.stream import SEQ_ALL, StreamProtocol
    from market.quotes import QuoteBook, Source

    def run() -> None:
        protocol, book = StreamProtocol(0.0), QuoteBook()
        protocol.receive(json.dumps({"event": "conf", "status": "OK", "flags": SEQ_ALL}), 0.0)
        for n in range(20):
            channel = Channel("ticker", f"tB{n:04d}USD")
            protocol.subscribe(channel, 0.0)
            answer = {"event": "subscribed", "channel": "ticker", "symbol": channel.target}
            protocol.receive(json.dumps(answer | {"chanId": n + 100}), 0.0)
        seen = 0
        for frame in data:
            for event in protocol.receive(frame, 0.0):
                if event.__class__ is TickerSeen:
                    book.apply_ticker(event.channel.target, event.ticker, 0, Source.LIVE)
                    seen += 1
        if seen != len(data):
            raise RuntimeError(f"{len(data) - seen} frames were not understood")

    return run


def naive(data: list[bytes]) -> Callable[[], None]:
    names = ("bid", "bid_size", "ask", "ask_size", "change", "change_percent", "last", "volume")
    fields = (*names, "high", "low")

    def run() -> None:
        symbols = {n + 100: f"tB{n:04d}USD" for n in range(20)}
        state: dict[str, dict[str, Any]] = {}
        for frame in data:
            channel, values, _ = json.loads(frame.decode())
            row = dict(zip(fields, values, strict=True))
            row["seen"] = 0
            state[symbols[channel]] = row

    return run


def decode() -> dict[str, float]:
    """Frames per CPU-second: the best of alternating chunks, which others disturb least."""
    data = frames()
    rates = {"ours": 0.0, "json": 0.0}
    for _ in range(CHUNKS):
        for name, run in (("ours", ours(data)), ("json", naive(data))):
            began = time.process_time()
            run()
            rates[name] = max(rates[name], len(data) / (time.process_time() - began))
    return {
        "ours_per_s": round(rates["ours"]),
        "json_per_s": round(rates["json"]),
        "ratio": rates["ours"] / rates["json"],
    }


async def transit(layer: Any) -> list[float]:
    """Milliseconds from group_send to receive, for each batch."""
    channel = await layer.new_channel()
    await layer.group_add("bench", channel)
    row = '["tB0000USD",50123.5,50123,50124,12.5,0.0123,12345.678,51000,49000,1700000000000,1]'
    rows = {f"tB{n:04d}USD": row for n in range(BATCH_ROWS)}
    late = []
    for _ in range(BATCHES):
        began = time.perf_counter()
        receiving = asyncio.create_task(layer.receive(channel))
        await layer.group_send("bench", {"type": "ticks.batch", "rows": rows, "full": False})
        await receiving
        late.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(BETWEEN_S)
    return late


async def both_layers(url: str) -> dict[str, float]:
    from channels.layers import InMemoryChannelLayer
    from channels_redis.pubsub import RedisPubSubChannelLayer

    memory = statistics.median(await transit(InMemoryChannelLayer()))
    redis = statistics.median(await transit(RedisPubSubChannelLayer(hosts=[url])))
    return {"memory_ms": memory, "redis_ms": redis, "added_ms": redis - memory}


def hop() -> dict[str, float]:
    from tests.servers import Redis

    server = Redis()
    try:
        return asyncio.run(both_layers(server.url))
    finally:
        server.stop()


if __name__ == "__main__":
    settings.configure(USE_TZ=True)
    django.setup()
    print(json.dumps({"decode": decode, "hop": hop}[sys.argv[1]]()))
