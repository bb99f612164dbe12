"""The feed alone, for an installation of several processes."""

import asyncio
import signal
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from django.core.management.base import BaseCommand

from market.conf import exchange
from market.feed.runner import Feed


class Command(BaseCommand):
    help = (
        "Bring live prices from the exchange to every web process. Start it on as many machines "
        "as you like: one serves, the others stand by. System checks run first."
    )

    requires_system_checks = ["settings"]  # those of `bfxdash.checks`; it needs no master key

    def handle(self, *args: Any, **options: Any) -> None:
        feed = Feed(exchange(), get_channel_layer(), settings.BFX_FEED_RANGES)
        asyncio.run(run_until_signalled(feed))


async def run_until_signalled(feed: Feed) -> None:
    """SIGTERM and SIGINT end it in order; a feed that dies by itself raises."""
    task = asyncio.ensure_future(feed.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
