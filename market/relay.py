"""The loop round the hub: batches in from the channel layer, flushes out in time.

One channel per process joins the group `market.ticks`. The group `market.feed` hears what this
process wants: a whole table until it has one, and the symbols on its browsers' screens.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec
import structlog
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import DatabaseError

from market.feeds import Part
from market.history import history
from market.hub import Hub, hub
from market.newest import saved_rows
from market.quotes import Batch

TICKS = "market.ticks"
FEED = "market.feed"
ASK_SECONDS = 1.0  # for a whole table, until it comes
WATCHED_SECONDS = 15.0
TICK_SECONDS = 1.0
RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Relay:
    """Feeds one hub and flushes it. Everything happens on the loop that runs it."""

    def __init__(
        self,
        target: Hub,
        layer: Any,
        load: Callable[[], dict[str, str]] = saved_rows,
    ) -> None:
        self._hub = target
        self._layer = layer
        self._load = load
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.Handle | None = None
        self._flushing = False
        self._channel = ""
        self._joined = False
        self._reachable = True
        self._asked = self._told = float("-inf")
        self._told_symbols: list[str] = []

    def start(self) -> None:
        """Run in the background, once: under a server that starts no tasks of ours."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self.run())

    async def run(self) -> None:
        """Until cancelled. A channel layer that is away is tried again every second."""
        self._task = asyncio.current_task()
        self._hub.set_clock(time.monotonic(), time.time())
        await self._load_saved()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            group.create_task(self._listen())

    def wake(self) -> None:
        """Flush what the hub has, now or at the end of its window."""
        if self._flushing or self._timer is not None:
            return
        delay = self._hub.due(time.monotonic())
        if delay == 0:
            self._flush()
        elif delay is not None:
            self._timer = asyncio.get_running_loop().call_later(delay, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._flushing = True
        self._step(self._hub.flush(time.monotonic()))

    def _step(self, slices: Iterator[None]) -> None:
        """One slice of the browsers; the next one after whatever else the loop has to do."""
        for _ in slices:
            asyncio.get_running_loop().call_soon(self._step, slices)
            return
        self._flushing = False
        self.wake()

    async def _load_saved(self) -> None:
        try:
            self._hub.load(await sync_to_async(self._load)())
        except DatabaseError as error:
            log.warning("no saved prices", reason=str(error))

    async def _tick(self) -> None:
        while True:
            now = time.monotonic()
            self._hub.set_clock(now, time.time())
            self._hub.tick(now)
            self._remember(int(time.time() * 1000))
            self.wake()
            try:
                await self._tell_feed(now)
            except Exception as error:  # noqa: BLE001 - each layer has its own for "away"
                self._note_layer(error)
            await asyncio.sleep(TICK_SECONDS)

    def _remember(self, now_ms: int) -> None:
        if self._hub.status.state == "live" and history().due(now_ms):
            history().sample(self._hub.rows(), now_ms)

    async def _tell_feed(self, now: float) -> None:
        watched = self._hub.watched()
        ask = not self._hub.complete and now - self._asked >= ASK_SECONDS
        repeat = now - self._told >= WATCHED_SECONDS
        if not (ask or repeat or watched != self._told_symbols):
            return
        if repeat and self._joined:  # a layer forgets members: after a day, or at a loss
            await self._layer.group_add(TICKS, self._channel)
        message = {"type": "feed.wanted", "symbols": watched, "full": ask}
        await self._layer.group_send(FEED, message)
        self._told, self._told_symbols = now, watched
        if ask:
            self._asked = now

    async def _listen(self) -> None:
        while True:
            try:
                message = await self._next_message()
            except Exception as error:  # noqa: BLE001 - each layer has its own for "away"
                self._note_layer(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._note_layer(None)
            self._take(message)

    async def _next_message(self) -> dict[str, Any]:
        if not self._joined:
            self._channel = self._channel or await self._layer.new_channel()
            await self._layer.group_add(TICKS, self._channel)
            self._joined = True
        message: dict[str, Any] = await self._layer.receive(self._channel)
        return message

    def _take(self, message: dict[str, Any]) -> None:
        try:
            batch = msgspec.convert(message, Batch)
        except msgspec.ValidationError as error:
            log.warning("not a batch of the feed", reason=str(error))
            return
        part = Part(batch.range, batch.ranges)
        self._hub.apply(batch.rows, batch.status, time.monotonic(), batch.full, part)
        self.wake()

    def _note_layer(self, error: Exception | None) -> None:
        """Say once that the channel layer is away, and once that it is back."""
        if error is not None and self._reachable:
            log.warning("the channel layer is away", reason=f"{type(error).__name__}: {error}")
        elif error is None and not self._reachable:
            log.info("the channel layer is back")
        self._reachable = error is None


@cache
def relay() -> Relay:
    """The relay of this process."""
    return Relay(hub(), get_channel_layer())
