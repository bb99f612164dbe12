"""The made-up values behind the made-up prices."""

import random
from math import exp

from market.sandbox.prices import currency


class Values:
    """What each currency is worth in USD, walking at random from its reference price."""

    def __init__(self, seed: int, start: float) -> None:
        self._seed, self._start = seed, start
        self._values: dict[str, tuple[float, float, random.Random]] = {}

    def at(self, code: str, now: float) -> float:
        """The value now; `now` must not fall."""
        listing = currency(code)
        if listing.code == "USD":
            return 1.0
        then, value, rng = self._values.get(listing.code) or self._first(listing.code)
        if now > then:
            value *= exp(rng.gauss(0, listing.volatility * ((now - then) / 86400) ** 0.5))
            value = min(max(value, listing.usd / 3), listing.usd * 3)
        self._values[listing.code] = (now, value, rng)
        return value

    def _first(self, code: str) -> tuple[float, float, random.Random]:
        rng = random.Random(f"{self._seed}:{code}")
        listing = currency(code)
        return self._start, listing.usd * exp(rng.gauss(0, listing.volatility / 4)), rng
