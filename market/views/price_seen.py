"""The live price of a pair as a page shows it, and whether it is true."""

from decimal import Decimal
from typing import NamedTuple

from market.hub import hub
from market.newest import newest_quotes
from market.quotes import FeedStatus, Quote, Source
from market.rates import Price, Prices, of_quotes

LOST_SECONDS = 35  # without a frame or a heartbeat: the exchange beats every 15 s
AWAY = ("stale", "offline")


class PriceSeen(NamedTuple):
    """`age` in seconds since the exchange last sent it, None when nobody knows whether it is still
    true; `all` has the prices of every pair."""

    all: Prices
    price: Price
    age: float | None

    @property
    def last(self) -> Decimal | None:
        return self.price.last


def price_seen(symbol: str, now: float) -> PriceSeen:
    """`now` in seconds since epoch."""
    quotes = newest_quotes()
    quote = next((each for each in quotes if each.symbol == symbol), None)
    if quote is None:
        return PriceSeen(of_quotes(quotes), Price(None, None, None), None)
    return PriceSeen(of_quotes(quotes), Price.of(quote), true_age(quote, hub().status, now))


def true_age(quote: Quote, status: FeedStatus, now: float) -> float | None:
    """A live channel that is silent is kept alive by its heartbeat; of any other row only the time
    of its last value is known."""
    age = max(0.0, now - quote.seen / 1000)
    is_beating = quote.source == Source.LIVE and status.state not in AWAY
    is_known = quote.source != Source.STALE and (is_beating or age <= LOST_SECONDS)
    return age if is_known and quote.last is not None else None
