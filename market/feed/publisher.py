"""From the table to every web process: one batch per flush, and a beat when nothing happens."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from market.feed.ports import Outside
from market.feed.table import Table
from market.quotes import FeedStatus

log = structlog.get_logger(__name__)

TICKS = "market.ticks"
WANTED = "market.feed"
LAYER_PAUSE = 1.0
REJOIN = 15.0  # a layer forgets members: after a day, or when it was restarted


class Publisher:
    """The first change goes out at once, later ones together once the flush window is over."""

    def __init__(
        self, outside: Outside, range_: int, table: Table, status: Callable[[], FeedStatus]
    ) -> None:
        self._part = {"range": range_, "ranges": outside.ranges}
        self._layer = outside.layer
        self._timing = outside.timing
        self._clock = outside.clock
        self._counters = outside.counters
        self._table = table
        self._status = status
        self._news = asyncio.Event()
        self._told: FeedStatus | None = None
        self._beaten = self._full_at = float("-inf")
        self._full = self._empty = True

    def wake(self) -> None:
        """There may be something new in the table or in the status."""
        self._news.set()

    def send_everything(self) -> None:
        """Someone asks for the whole table."""
        self._full = True
        self.wake()

    async def run(self) -> None:
        while True:
            self._news.clear()
            if await self._publish():
                await asyncio.sleep(self._timing.flush)
            left = self._beaten + self._timing.beat - self._clock.monotonic()
            try:
                async with asyncio.timeout(max(left, 0)):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _publish(self) -> bool:
        """Send what there is to tell, if anything."""
        now = self._clock.monotonic()
        status = self._status()
        full = self._full or now - self._full_at >= self._timing.full
        rows = self._table.book.take_all() if full else self._table.book.take_changed()
        full = full or (self._empty and bool(rows))  # the first ones are the whole table
        beat = now - self._beaten >= self._timing.beat
        if not (rows or full or beat or _differs(status, self._told)):
            return False
        message = {
            "type": "ticks.batch",
            "rows": rows,
            "status": msgspec.to_builtins(status),
            "full": full,
            **self._part,
        }
        self._beaten = now
        self._told = status
        if await self._send(message):
            self._full = False
            self._empty = self._empty and not rows
            self._full_at = now if full else self._full_at
        else:
            self.send_everything()  # whatever was lost, the next batch has it
        return True

    async def _send(self, message: dict[str, Any]) -> bool:
        try:
            await self._layer.group_send(TICKS, message)
        except Exception as error:  # noqa: BLE001 - each layer has its own for "away"
            self._counters.layer_errors += 1
            log.warning("the channel layer is away", reason=repr(error))
            await asyncio.sleep(LAYER_PAUSE)
            return False
        self._counters.batches += 1
        return True


def _differs(status: FeedStatus, told: FeedStatus | None) -> bool:
    return told is None or msgspec.structs.replace(status, at=told.at) != told


class WebProcesses:
    """What the web processes ask for, message by message."""

    def __init__(self, outside: Outside) -> None:
        self._layer = outside.layer
        self._counters = outside.counters
        self._channel = ""

    async def next_message(self) -> dict[str, Any]:
        """Waits for it, however long, and for a layer that is away as well."""
        while True:
            try:
                return await self._receive()
            except Exception as error:  # noqa: BLE001 - each layer has its own for "away"
                self._counters.layer_errors += 1
                log.warning("cannot hear the web processes", reason=repr(error))
                self._channel = ""
                await asyncio.sleep(LAYER_PAUSE)

    async def _receive(self) -> dict[str, Any]:
        self._channel = self._channel or await self._layer.new_channel()
        waiting = asyncio.ensure_future(self._layer.receive(self._channel))
        try:
            while True:
                await self._layer.group_add(WANTED, self._channel)
                if (await asyncio.wait({waiting}, timeout=REJOIN))[0]:
                    return waiting.result()
        finally:
            waiting.cancel()
