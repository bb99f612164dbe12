"""The web server with prices made by a test: it reads commands from stdin, one JSON a line.

`{"prices": {symbol: last}, "full": true}` is one batch of the feed; `{"every": 0.01,
"symbols": 50}` makes batches of all symbols at that pace until the next command; `{"report": true}`
prints what the hub knows of its readers; `{"die": "reason"}` ends the feed.

Run as a program it is `bfxdash.server.serve`; `application` is the same under plain Daphne.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bfxdash.settings")
django.setup()

from channels.layers import get_channel_layer  # noqa: E402

from bfxdash import server  # noqa: E402
from bfxdash.asgi import application as dashboard  # noqa: E402
from market import feeds  # noqa: E402
from market import hub as hub_module  # noqa: E402
from market.hub import hub  # noqa: E402
from market.quotes import Quote, encode  # noqa: E402
from market.relay import TICKS, relay  # noqa: E402

server.PING_SECONDS = int(os.environ.get("TEST_PING_SECONDS", "10"))
server.PONG_SECONDS = int(os.environ.get("TEST_PONG_SECONDS", "60"))
feeds.SILENCE_SECONDS = float(os.environ.get("TEST_SILENCE_SECONDS", "15"))
hub_module.BEHIND_SECONDS = float(os.environ.get("TEST_BEHIND_SECONDS", "30"))


async def send_batch(prices, full=False):
    seen = int(time.time() * 1000)
    rows = {
        symbol: encode(Quote(symbol, last, last, 1, 2, 0.1, 1e6, 4, 5, seen, 1)).decode()
        for symbol, last in prices.items()
    }
    status = {"state": "live", "since": 1, "at": seen}
    message = {"type": "ticks.batch", "rows": rows, "status": status, "full": full}
    await get_channel_layer().group_send(TICKS, message)


async def keep_ticking(every, symbols):
    count = 0
    while True:
        count += 1
        await send_batch({f"tS{number:03d}": count for number in range(symbols)}, full=True)
        await asyncio.sleep(every)


def report():
    readers = [reader for group in hub()._groups.values() for reader in group.readers]
    sinks = sorted({type(reader.sink).__name__ for reader in readers})
    facts = {"readers": len(readers), "sinks": sinks, "dropped": hub().dropped}
    facts |= {"groups": len(hub()._groups), "watched": hub().watched()}
    facts["prices"] = {quote.symbol: quote.last for quote in hub().rows()}
    print(f"report {json.dumps(facts)}", flush=True)


async def read_commands():
    """The stand-in for the feed."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while not relay()._joined:  # nobody would hear
        await asyncio.sleep(0.01)
    ticking = None
    while line := await reader.readline():
        command = json.loads(line)
        if ticking is not None:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
        ticking = None
        if "every" in command:
            ticking = loop.create_task(keep_ticking(**command))
        elif "die" in command:
            raise RuntimeError(command["die"])
        elif "report" in command:
            report()
        else:
            await send_batch(**command)
    await asyncio.Event().wait()


STARTED: list[asyncio.Task[None]] = []


async def application(scope, receive, send):
    """For plain Daphne, which starts no task: the first connection starts it."""
    if not STARTED:
        STARTED.append(asyncio.get_running_loop().create_task(read_commands()))
    await dashboard(scope, receive, send)


def main():
    def announce(port):
        print(f"listening {port}", flush=True)

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    sys.exit(server.serve("127.0.0.1", port, tasks=[read_commands], on_listening=announce))


if __name__ == "__main__":
    main()
