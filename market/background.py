"""Work that outlives the web request which asked for it: an order under way must not end with the
browser's connection.

A few threads at most, each with a database connection of its own that it gives back. They are
daemons: a stopping server waits for them for some seconds, and what it leaves behind then is
settled by `market.resolver`.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import cache
from typing import Any, TypeVar

import structlog
from django.db import connections

T = TypeVar("T")
log = structlog.get_logger(__name__)

WORKERS = 16
DRAIN_SECONDS = 9.0  # `bfxdash.server` gives its tasks ten


class Full(Exception):
    """As much is under way as this process takes on at a time. Nothing was begun."""


class Background:
    """At most `workers` pieces of work at a time."""

    def __init__(self, workers: int = WORKERS) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._running: dict[str, Future[Any]] = {}

    def run(self, name: str, work: Callable[[], T]) -> Future[T]:
        """Begins it at once, in a thread of its own; what runs by this name already is not begun
        a second time. Raises `Full`."""
        with self._lock:
            if name in self._running:
                return self._running[name]
            if len(self._running) >= self._workers:
                raise Full
            done = self._running[name] = Future[T]()
        threading.Thread(target=self._work, args=(name, work, done), daemon=True).start()
        return done

    def drain(self, seconds: float) -> int:
        """Waits for what is under way; how much of it is then still not done."""
        with self._lock:
            running = set(self._running.values())
        return len(wait(running, seconds).not_done)

    def _work(self, name: str, work: Callable[[], T], done: "Future[T]") -> None:
        try:
            found, failure = work(), None
        except BaseException as error:  # noqa: BLE001  whoever waits gets it
            found, failure = None, error
        finally:
            connections.close_all()
            with self._lock:
                del self._running[name]
        if failure is None:
            done.set_result(found)  # type: ignore[arg-type]
        else:
            done.set_exception(failure)


@cache
def background() -> Background:
    """This process's."""
    return Background()


async def drain_at_the_end() -> None:
    """For `bfxdash.server.serve`: when it is cancelled, waits for orders that are under way."""
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        left = await asyncio.to_thread(background().drain, DRAIN_SECONDS)
        if left:
            log.warning("stopped with work under way", left=left)
