"""The past of a made-up market: candles that agree with each other in every timeframe.

The past is made from the top down, and only where somebody looks: a walk of days back from the
price at start, a day split into hours, an hour into minutes, so that the parts of a candle have
exactly its open, close, extremes and volume. The present is kept from the bottom up, from trades.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import exp
from typing import NamedTuple

from market.sandbox.prices import five
from market.sandbox.topics import TIMEFRAMES

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_DAYS = 1100
_KEPT = {MINUTE: 4320, HOUR: 2160, DAY: _DAYS}


class Candle(NamedTuple):
    """`[MTS,O,C,H,L,V]`, the exchange's order; the volume in units of 1e-8."""

    mts: int
    open: float
    close: float
    high: float
    low: float
    volume: int

    def with_trade(self, price: float, amount: int) -> "Candle":
        return Candle(
            self.mts, self.open, price,
            max(self.high, price), min(self.low, price), self.volume + amount,
        )  # fmt: skip


@dataclass(frozen=True)
class Character:
    """How a symbol moves: deviation of a day, volume of a day (1e-8 units), trades a minute."""

    volatility: float
    day_volume: int
    trades_per_minute: float


class History:
    """Candles of one symbol. `seed` makes the past, `start_ms` is where the present begins."""

    def __init__(self, seed: str, start_ms: int, price: float, character: Character) -> None:
        self._seed = seed
        self._start = start_ms
        self._character = character
        self._days: list[Candle] = []
        self._parts: dict[tuple[int, int], list[Candle]] = {}
        self._live: dict[int, list[Candle]] = {MINUTE: [], HOUR: [], DAY: []}
        self._begin(price)

    def add(self, mts: int, price: float, amount: int) -> None:
        """Note a trade."""
        for length, rows in self._live.items():
            begin = mts - mts % length
            if rows and rows[-1].mts == begin:
                rows[-1] = rows[-1].with_trade(price, amount)
            else:
                rows.append(Candle(begin, price, price, price, price, amount))
                del rows[: -_KEPT[length]]

    def day(self, now_ms: int) -> Candle:
        """The last 24 hours as one candle."""
        hours = []
        for candle in self._newest_first(HOUR):
            if candle.mts <= now_ms - DAY:
                break
            hours.append(candle)
        return merge(hours)

    def candles(self, timeframe: str, start: int, end: int) -> Iterator[Candle]:
        """Candles that open within [start, end], newest first; empty ones are skipped."""
        minutes = TIMEFRAMES[timeframe]
        length = MINUTE if minutes < 60 else HOUR if minutes < 1440 else DAY
        rows = self._newest_first(length)
        for begin, group in groupby(rows, key=lambda candle: bucket(candle.mts, timeframe)):
            if begin < start:
                return
            if begin <= end:
                yield merge(list(group))._replace(mts=begin)

    def past_minutes(self) -> Iterator[Candle]:
        """The minutes before the start, newest first."""
        return (c for c in self._newest_first(MINUTE) if c.mts <= self._start - MINUTE)

    def _random(self, what: object) -> random.Random:
        return random.Random(f"{self._seed}:{what}")

    def _begin(self, price: float) -> None:
        """Make today until the start, and the hours and minutes of it that go on."""
        midnight = self._start - self._start % DAY
        hour = self._start - self._start % HOUR
        minutes = (self._start - hour) // MINUTE
        elapsed = (hour - midnight) // HOUR * 60 + minutes
        self._today_open = price
        if not elapsed:
            return
        today = self._walk_day(midnight, price, elapsed / 1440)
        self._today_open = today.open
        self._live[DAY].append(today)
        weights = [1.0] * ((hour - midnight) // HOUR) + ([minutes / 60] if minutes else [])
        hours = self._split(today, HOUR, weights)
        if minutes:
            self._live[HOUR].append(hours.pop())
            self._parts[MINUTE, hour] = self._split(
                self._live[HOUR][0], MINUTE, [1.0] * int(minutes)
            )
        self._parts[HOUR, midnight] = hours

    def _walk_day(self, mts: int, close: float, share: float = 1.0) -> Candle:
        """A day, or the first `share` of it, that ends at a price."""
        rng, deviation = self._random(mts), self._character.volatility * share**0.5
        opened = five(close * exp(-rng.gauss(0, deviation)))
        high = five(max(opened, close) * (1 + abs(rng.gauss(0, deviation / 2))))
        low = five(min(opened, close) / (1 + abs(rng.gauss(0, deviation / 2))))
        volume = int(self._character.day_volume * share * rng.lognormvariate(0, 0.3)) + 1
        return Candle(mts, opened, close, high, low, volume)

    def _past_day(self, index: int) -> Candle:
        """The full day `index` days before today's midnight, from 0 (yesterday)."""
        midnight = self._start - self._start % DAY
        while len(self._days) <= index:
            close = self._days[-1].open if self._days else self._today_open
            self._days.append(self._walk_day(midnight - DAY * (len(self._days) + 1), close))
        return self._days[index]

    def _newest_first(self, length: int) -> Iterator[Candle]:
        yield from reversed(self._live[length])
        if length == DAY:
            yield from (self._past_day(index) for index in range(_DAYS))
        else:
            yield from self._past(length)

    def _past(self, length: int) -> Iterator[Candle]:
        midnight = self._start - self._start % DAY
        if length == HOUR:
            yield from reversed(self._parts.get((HOUR, midnight), []))
            for index in range(_DAYS):
                yield from reversed(self._parts_of(self._past_day(index), HOUR, 24))
            return
        hour = self._start - self._start % HOUR
        yield from reversed(self._parts.get((MINUTE, hour), []))
        for candle in self._past(HOUR):
            yield from reversed(self._parts_of(candle, MINUTE, 60))

    def _parts_of(self, candle: Candle, length: int, count: int) -> list[Candle]:
        key = (length, candle.mts)
        if key not in self._parts:
            self._parts[key] = self._split(candle, length, [1.0] * count)
        return self._parts[key]

    def _split(self, candle: Candle, length: int, weights: Sequence[float]) -> list[Candle]:
        rng = self._random((length, candle.mts))
        trades = self._character.trades_per_minute * length / MINUTE
        return split(candle, length, weights, rng, trades)


def merge(newest_first: Sequence[Candle]) -> Candle:
    """One candle out of several that follow each other."""
    newest, oldest = newest_first[0], newest_first[-1]
    return Candle(
        oldest.mts,
        oldest.open,
        newest.close,
        max(candle.high for candle in newest_first),
        min(candle.low for candle in newest_first),
        sum(candle.volume for candle in newest_first),
    )


def bucket(mts: int, timeframe: str) -> int:
    """The time a candle that holds `mts` opens at: weeks on Mondays, months on their first."""
    if timeframe == "1M":
        moment = datetime.fromtimestamp(mts / 1000, UTC)
        first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return int(first.timestamp()) * 1000
    length = TIMEFRAMES[timeframe] * MINUTE
    monday = 4 * DAY if length >= 7 * DAY else 0
    return mts - (mts - monday) % length


def split(
    candle: Candle, length: int, weights: Sequence[float], rng: random.Random, trades: float
) -> list[Candle]:
    """Cut a candle into one part per weight; together they are exactly the candle again.

    Parts in which nothing was traded are left out, the more the fewer `trades` a part has.
    """
    count = len(weights)
    prices = _bridge(candle, count, rng)
    top, bottom = rng.randrange(count), rng.randrange(count)
    kept = [
        place
        for place in range(count)
        if place in (0, count - 1, top, bottom) or rng.random() < trades
    ]
    shares = [weights[place] * rng.lognormvariate(0, 0.5) for place in kept]
    total, left, parts = sum(shares), candle.volume, []
    for place, share in zip(kept, shares, strict=True):
        volume = left if place == count - 1 else min(left, int(candle.volume * share / total))
        left -= volume
        opened, closed = prices[place], prices[place + 1]
        wick = 1 + abs(rng.gauss(0, 1)) * (candle.high / candle.low - 1) / (2 * count)
        high = candle.high if place == top else min(candle.high, five(max(opened, closed) * wick))
        low = candle.low if place == bottom else max(candle.low, five(min(opened, closed) / wick))
        parts.append(Candle(candle.mts + place * length, opened, closed, high, low, volume))
    return parts


def _bridge(candle: Candle, count: int, rng: random.Random) -> list[float]:
    """Prices at the `count + 1` ends of the parts: a walk from open to close in the range."""
    spread = (candle.high - candle.low) / 2 / count**0.5
    prices, price = [candle.open], candle.open
    for place in range(1, count):
        pull = (candle.close - price) / (count - place + 1)
        price = min(candle.high, max(candle.low, price + pull + rng.gauss(0, spread)))
        prices.append(min(candle.high, max(candle.low, five(price))))
    return [*prices, candle.close]
