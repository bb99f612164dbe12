"""What a Channels tutorial leads to: one `group_send` a tick, one consumer a browser, on Daphne.

Run by Daphne's own command with its defaults. `BENCH_STOCK` chooses the consumer: `stock`; `auth`
(the same behind `AuthMiddlewareStack`, database in `BENCH_DIR`); `bare` (no layer, no group).
Run as a module it makes that database with one logged-in user and prints his cookie.
`BENCH_BLOCK_MS` is the length of a blocking call made once a second through `sync_to_async`.
"""

import asyncio
import json
import os
import time
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings

VARIANT = os.environ.get("BENCH_STOCK", "stock")
BLOCK_MS = int(os.environ.get("BENCH_BLOCK_MS", "0"))
FEED = int(os.environ["BENCH_FEED"])

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(os.environ.get("BENCH_DIR", "."), "stock.sqlite3"),
        }
    },
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    USE_TZ=True,
)
django.setup()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.contrib import auth  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402

from tests.bench.peers.ticks import read_ticks, symbol_of  # noqa: E402

NAMES = ("bid", "bid_size", "ask", "ask_size", "change", "change_percent", "last", "volume")
tasks: set[asyncio.Task[Any]] = set()


async def send_ticks() -> None:
    layer = get_channel_layer()
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    def take(got: list[bytes]) -> None:
        for line in got:
            lines.put_nowait(line)

    tasks.add(asyncio.create_task(read_ticks(FEED, take)))
    while True:
        channel, values = json.loads(await lines.get())
        row = dict(zip((*NAMES, "high", "low"), values, strict=True))
        row |= {"symbol": symbol_of(channel), "seen": int(time.time() * 1000), "source": 1}
        del row["bid_size"], row["ask_size"]
        row = {"symbol": row.pop("symbol"), **row}
        await layer.group_send("ticks", {"type": "tick", "row": row})


async def block() -> None:
    while True:
        await asyncio.sleep(1)
        await sync_to_async(time.sleep)(BLOCK_MS / 1000)


def start_once() -> None:
    """Daphne has no start-up hook: the first connection starts the feed."""
    if not tasks:
        tasks.add(asyncio.create_task(send_ticks()))
        if BLOCK_MS:
            tasks.add(asyncio.create_task(block()))


class Tickers(AsyncJsonWebsocketConsumer):
    groups = ("ticks",)

    async def connect(self) -> None:
        start_once()
        await self.accept()

    async def tick(self, event: dict[str, Any]) -> None:
        await self.send_json(event["row"])


class Bare(AsyncJsonWebsocketConsumer):
    channel_layer_alias = None


consumer = (Bare if VARIANT == "bare" else Tickers).as_asgi()
application = ProtocolTypeRouter(
    {"websocket": AuthMiddlewareStack(consumer) if VARIANT == "auth" else consumer}
)


def make_session() -> str:
    call_command("migrate", verbosity=0)
    user = auth.get_user_model().objects.create_user("alice", password="bench")
    session = SessionStore()
    session[auth.SESSION_KEY] = str(user.pk)
    session[auth.BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return f"sessionid={session.session_key}"


if __name__ == "__main__":
    print(make_session())
