"""The feed: live data of the exchange for every web process, one process per range of symbols."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog
from django.conf import settings

from market.bitfinex.pacing import connect_timeout
from market.client import RestClient
from market.conf import Exchange
from market.feed.holder import holder_name
from market.feed.ledger import ClientRest, DatabaseLedger
from market.feed.ports import Counters, Layer, LedgerAway, Outside, Timing
from market.feed.service import LeaseLost, Service
from market.limits import read_rates

log = structlog.get_logger(__name__)

RELEASE_SECONDS = 3.0


class Feed:
    """Runs in a loop of its own or beside the web server. `replaced` stands in for parts of
    `Outside`, in tests.
    """

    def __init__(self, exchange: Exchange, layer: Layer, ranges: int = 1, **replaced: Any) -> None:
        self.outside = replace(outside_of(exchange, layer, ranges), **replaced)
        self._serving = 0
        self._claiming = asyncio.Lock()

    @property
    def counters(self) -> Counters:
        return self.outside.counters

    async def run(self) -> None:
        """Until cancelled; then sockets are closed, prices saved, leases released. An exception of
        our own ends it: the process must stop, and say why.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for range_ in range(self.outside.ranges):
                    tasks.create_task(self._attend(range_))
        except BaseExceptionGroup as group:
            raise _cause(group) from group

    async def _attend(self, range_: int) -> None:
        """Stand by, serve, and when another process took over, stand by again."""
        while True:
            if await self._claim(range_):
                await self._serve(range_)
            else:
                await asyncio.sleep(self.outside.timing.lease / 3)

    async def _claim(self, range_: int) -> bool:
        """Whether the lease is ours now. Who serves a range already lets others go first."""
        ttl = self.outside.timing.lease
        async with self._claiming:
            await asyncio.sleep(ttl / 2 if self._serving else 0)
            try:
                held = await self.outside.ledger.hold(range_, ttl)
            except LedgerAway as away:
                self.counters.ledger_errors += 1
                log.warning("cannot ask for the lease", reason=str(away))
                return False
            self._serving += held
            return held

    async def _serve(self, range_: int) -> None:
        log.info("serving", range=range_, ranges=self.outside.ranges)
        try:
            await Service(self.outside, range_).run()
        except* LeaseLost:
            log.warning("another process serves this range now", range=range_)
        finally:
            self._serving -= 1
            await self._release(range_)

    async def _release(self, range_: int) -> None:
        with suppress(LedgerAway, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self.outside.ledger.release(range_)


def outside_of(exchange: Exchange, layer: Layer, ranges: int) -> Outside:
    """The real surroundings, as the settings describe them."""
    rates = read_rates(exchange.rates)
    return Outside(
        url=exchange.public_ws,
        ledger=DatabaseLedger(holder_name()),
        rest=ClientRest(RestClient(exchange)),
        layer=layer,
        ranges=ranges,
        timing=Timing(
            connect=connect_timeout(rates.window),
            flush=settings.BFX_FLUSH_MS / 1000,
        ),
    )


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception inside, however deep."""
    first = group.exceptions[0]
    return _cause(first) if isinstance(first, BaseExceptionGroup) else first
