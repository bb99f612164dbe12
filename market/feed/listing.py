"""What is traded, and its values by REST: at the start, and while sockets cannot tell them."""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

import structlog

from market.bitfinex.messages import AnyTicker
from market.bitfinex.pacing import reconnect_delays
from market.bitfinex.symbols import is_funding, trading_symbols
from market.feed.plan import by_volume, in_range
from market.feed.ports import Notify, Outside, RestFailed
from market.feed.table import Table

log = structlog.get_logger(__name__)

MANY = 20  # one row in so many may be without a live channel before REST fills in at full pace
SLOWER = 4


class Listing:
    """`symbols` are all of this range, the busiest first. `fault` says why the last call failed,
    empty when it did not; then `retry_at` is when the next one follows.
    """

    def __init__(self, outside: Outside, range_: int, table: Table, on_change: Notify) -> None:
        self.symbols: Sequence[str] = ()
        self.fault = ""
        self.retry_at = 0.0
        self._outside = outside
        self._range = range_
        self._table = table
        self._on_change = on_change
        self._rng = Random()  # noqa: S311 - spreads load, guards nothing
        self._pairs: Sequence[str] = ()
        self._pairs_at = self._filled_at = float("-inf")

    async def run(self) -> None:
        delays = reconnect_delays(self._outside.timing.pace, self._rng)
        while True:
            try:
                await self._refresh()
            except RestFailed as failure:
                self._note_failure(failure, max(failure.retry_after, next(delays)))
            else:
                delays = reconnect_delays(self._outside.timing.pace, self._rng)
                self.fault, self.retry_at = "", self._now + self._outside.timing.refresh
            self._on_change()
            await self._sleep()

    async def _sleep(self) -> None:
        """Until the next round of calls is due."""
        while True:
            await asyncio.sleep(max(0.0, self.retry_at - self._now))
            if self.fault or self._is_needed():
                return
            self.retry_at = self._now + self._outside.timing.refresh

    @property
    def _now(self) -> float:
        return self._outside.clock.monotonic()

    def _note_failure(self, failure: RestFailed, pause: float) -> None:
        self._outside.counters.rest_errors += 1
        log.warning("REST call failed", reason=failure.reason, cause=str(failure.__cause__))
        self.fault, self.retry_at = failure.reason, self._now + pause

    async def _refresh(self) -> None:
        """One round of calls; whatever half of it came is used. Raises RestFailed."""
        if self._table.maintenance and await self._outside.rest.operative():
            self._table.end_maintenance()
        failure: RestFailed | None = None
        tickers: Mapping[str, AnyTicker] = {}
        try:
            tickers = await self._outside.rest.tickers()
        except RestFailed as error:
            failure = error
        try:
            self._pairs = await self._fresh_pairs()
        except RestFailed as error:
            failure = failure or error
        self._use(tickers)
        if failure is not None:
            raise failure

    async def _fresh_pairs(self) -> Sequence[str]:
        if self._now - self._pairs_at < self._outside.timing.lists:
            return self._pairs
        pairs = await self._outside.rest.pairs()
        self._pairs_at = self._now
        return pairs

    def _use(self, tickers: Mapping[str, AnyTicker]) -> None:
        known = list(tickers) or self._table.book.symbols()
        pairs = trading_symbols(self._pairs) or [name for name in known if not is_funding(name)]
        listed = [*pairs, *filter(is_funding, known)]
        mine = [name for name in listed if in_range(name, self._range, self._outside.ranges)]
        if set(mine) != set(self.symbols):
            self.symbols = by_volume(mine, tickers)
        if tickers and self._pairs:
            self._table.keep_only(self.symbols)
        if tickers:
            self._filled_at = self._now
            self._table.fill(tickers, self.symbols)

    def _is_needed(self) -> bool:
        timing = self._outside.timing
        missing = sum(not self._table.is_live(symbol) for symbol in self.symbols)
        pause = timing.refresh if missing * MANY > len(self.symbols) else timing.refresh * SLOWER
        return (
            self._table.maintenance
            or self._now - self._pairs_at >= timing.lists
            or (missing > 0 and self._now - self._filled_at >= pause)
        )
