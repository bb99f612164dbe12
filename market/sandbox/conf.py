"""The `conf` endpoint: lists and maps of what the exchange trades.

Unknown keys have no entry; the endpoint answers an empty list in their place.
"""

from collections.abc import Sequence
from typing import Any

from market.sandbox.prices import CURRENCIES, FUTURES, PAIRS, Pair, currency, order_sizes


class Listing:
    """The conf lists of an exchange that trades these pairs."""

    def __init__(self, pairs: Sequence[Pair] = PAIRS, futures: Sequence[Pair] = FUTURES) -> None:
        legs = {leg for pair in (*pairs, *futures) for leg in (pair.base, pair.quote)}
        known = [CURRENCIES[code] for code in sorted(legs & CURRENCIES.keys())]
        self._values: dict[str, list[Any]] = {
            "pub:list:pair:exchange": [pair.name for pair in pairs],
            "pub:list:pair:margin": [pair.name for pair in pairs if pair.margin],
            "pub:list:pair:futures": [pair.name for pair in futures],
            "pub:list:pair:securities": [],
            "pub:list:currency": sorted(legs),
            "pub:map:currency:label": [[item.code, item.label] for item in known],
            "pub:map:currency:sym": [
                [item.code, item.symbol] for item in known if item.symbol != item.code
            ],
            "pub:map:currency:undl": [
                [leg, leg.removesuffix("F0")] for leg in sorted(legs) if leg.endswith("F0")
            ],
            "pub:info:pair": [_info(pair) for pair in pairs],
            "pub:info:pair:futures": [_info(pair) for pair in futures],
        }

    def get(self, key: str) -> list[Any] | None:
        """The value of one key, None when there is no such key."""
        return self._values.get(key)


def _info(pair: Pair) -> list[Any]:
    """`[PAIR,[null,null,null,MIN,MAX,null,null,null,INIT_MARGIN,MIN_MARGIN,null,null]]`."""
    smallest, largest = order_sizes(currency(pair.base).usd if pair.known else 1.0)
    margin: list[float | None] = [None, None]
    if pair.margin or pair.future:
        margin = [0.01, 0.005] if pair.future else [0.3, 0.15]
    return [pair.name, [None, None, None, smallest, largest, None, None, None, *margin, None, None]]
