"""Past prices for the small trend line of each row: what this process has seen, at most a day,
thinned as it grows old. `static/js/trend.js` goes on with it by the same rule. No I/O.
"""

from collections.abc import Iterable
from functools import cache

from market.bitfinex.messages import Number
from market.quotes import Quote

POINTS = 48
FIRST_STEP_MS = 5000
DAY_MS = 86_400_000


class History:
    """All symbols share one row of times; a symbol that was unknown at a time has None there."""

    def __init__(self) -> None:
        self.step_ms = FIRST_STEP_MS
        self._times: list[int] = []
        self._prices: dict[str, list[Number | None]] = {}

    def due(self, now_ms: int) -> bool:
        return not self._times or now_ms - self._times[-1] >= self.step_ms

    def sample(self, quotes: Iterable[Quote], now_ms: int) -> None:
        """Note every last price, if it is time again."""
        if not self.due(now_ms):
            return
        self._times.append(now_ms)
        for quote in quotes:
            prices = self._prices.setdefault(quote.symbol, [])
            prices += [None] * (len(self._times) - 1 - len(prices))
            prices.append(quote.last)
        if len(self._times) > POINTS:
            self._thin()

    def table(self) -> dict[str, object]:
        """`step` in ms, `times` in ms since epoch, and beside each time the price of a symbol."""
        return {"step": self.step_ms, "times": self._times, "prices": self._prices}

    def _thin(self) -> None:
        """Half as dense; once a day is covered, the oldest goes instead."""
        whole_day = self.step_ms * POINTS >= DAY_MS
        stays = slice(1, None) if whole_day else slice(None, None, 2)
        self._times = self._times[stays]
        self._prices = {symbol: prices[stays] for symbol, prices in self._prices.items()}
        if not whole_day:
            self.step_ms *= 2


@cache
def history() -> History:
    """The history of this process."""
    return History()
