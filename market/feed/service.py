"""One range of symbols, served for as long as its lease is ours."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from market.feed.fleet import Fleet
from market.feed.listing import Listing
from market.feed.plan import wishes
from market.feed.ports import LedgerAway, Outside
from market.feed.publisher import Publisher, WebProcesses
from market.feed.status import judge
from market.feed.table import Table
from market.quotes import FeedStatus

log = structlog.get_logger(__name__)

SAVE_AT_STOP = 5.0


class LeaseLost(Exception):
    """Another process serves this range now."""


class Wanted(msgspec.Struct):
    """A web process: the symbols on its browsers' screens, and whether it needs the whole table."""

    symbols: list[str] = []
    full: bool = False


class Service:
    def __init__(self, outside: Outside, range_: int) -> None:
        self._outside = outside
        self._range = range_
        self._watched: dict[str, float] = {}  # symbol → until when, monotonic
        self._planned: tuple[tuple[str, ...], frozenset[str]] = ((), frozenset())
        self._told = FeedStatus(state="connecting", since=0, at=0)
        self._table = Table(outside.clock, self._wake)
        self._listing = Listing(outside, range_, self._table, self._listed)
        self._fleet = Fleet(outside, self._table, self._wake)
        self._publisher = Publisher(outside, range_, self._table, self.status)

    async def run(self) -> None:
        """Until cancelled; raises LeaseLost (in a group) when another process took the range."""
        await self._load()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publisher.run())
                tasks.create_task(self._listing.run())
                tasks.create_task(self._fleet.run())
                tasks.create_task(self._hear_web_processes())
                tasks.create_task(self._keep_planned())
                tasks.create_task(self._keep_saved())
                tasks.create_task(self._keep_lease())
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(SAVE_AT_STOP):
                    await self._save()

    def status(self) -> FeedStatus:
        now_ms = self._outside.clock.wall_ms()
        fleet = self._fleet.view()
        judged = judge(
            fleet,
            any_live=self._table.any_live,
            maintenance=self._table.maintenance,
            rest_fault=self._listing.fault,
            rest_retry_at=self._listing.retry_at,
        )
        since = self._told.since if judged.state == self._told.state else 0
        self._told = FeedStatus(
            state=judged.state,
            since=since or now_ms,
            at=now_ms,
            retry_at=self._on_the_wall(judged.retry_at),
            reason=judged.reason,
            sockets=fleet.open,
            wanted=fleet.wanted,
        )
        return self._told

    def _on_the_wall(self, at: float | None) -> int | None:
        """A monotonic time in ms since epoch; the same number again while it means the same."""
        if at is None:
            return None
        clock, told = self._outside.clock, self._told.retry_at
        wall = clock.wall_ms() + round((at - clock.monotonic()) * 1000)
        return told if told is not None and abs(told - wall) < 500 else wall

    def _wake(self) -> None:
        self._publisher.wake()

    def _listed(self) -> None:
        self._plan()
        self._wake()

    async def _hear_web_processes(self) -> None:
        web = WebProcesses(self._outside)
        while True:
            self._hear(await web.next_message())

    def _hear(self, message: dict[str, Any]) -> None:
        try:
            wanted = msgspec.convert(message, Wanted)
        except msgspec.ValidationError as error:
            log.warning("not a message of a web process", reason=str(error))
            return
        until = self._outside.clock.monotonic() + self._outside.timing.wanted
        self._watched |= dict.fromkeys(wanted.symbols, until)
        if wanted.full:
            self._publisher.send_everything()
        self._plan()

    def _plan(self) -> None:
        now = self._outside.clock.monotonic()
        self._watched = {symbol: end for symbol, end in self._watched.items() if end > now}
        plan = (tuple(self._listing.symbols), frozenset(self._watched))
        if plan != self._planned:
            self._planned = plan
            self._fleet.want(wishes(*plan))

    async def _keep_planned(self) -> None:
        while True:
            await asyncio.sleep(self._outside.timing.wanted / 9)
            self._plan()

    async def _keep_saved(self) -> None:
        while True:
            await asyncio.sleep(self._outside.timing.save)
            await self._save()

    async def _keep_lease(self) -> None:
        """Where the database is away we go on: nobody can take a lease that cannot be written."""
        ttl = self._outside.timing.lease
        while True:
            await asyncio.sleep(ttl / 3)
            try:
                held = await self._outside.ledger.hold(self._range, ttl)
            except LedgerAway as away:
                self._note_ledger("the lease is not renewed", away)
                continue
            if not held:
                raise LeaseLost

    async def _load(self) -> None:
        try:
            self._table.load(await self._outside.ledger.load_quotes(self._range))
        except LedgerAway as away:
            self._note_ledger("no saved prices", away)

    async def _save(self) -> None:
        rows = self._table.book.rows(self._listing.symbols)
        try:
            if rows:
                await self._outside.ledger.save_quotes(self._range, rows)
        except LedgerAway as away:
            self._note_ledger("prices are not saved", away)

    def _note_ledger(self, what: str, away: LedgerAway) -> None:
        self._outside.counters.ledger_errors += 1
        log.warning(what, reason=str(away))
