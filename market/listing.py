"""What a symbol is to a reader, and in which order symbols are listed."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

from market.bitfinex import currencies
from market.bitfinex.messages import Number
from market.bitfinex.symbols import is_funding, is_paper, split_pair
from market.quotes import Quote


@dataclass(frozen=True, slots=True)
class Listing:
    """Names of one symbol. `base` and `quote` are codes people know (`USDt`), `base_code` and
    `quote_code` the exchange's own (`UST`), `name` is the base in words. A funding currency has no
    quote.
    """

    symbol: str
    base: str
    quote: str
    base_code: str
    quote_code: str
    name: str
    paper: bool
    funding: bool

    @property
    def label(self) -> str:
        return f"{self.base}/{self.quote}" if self.quote else f"{self.base} funding"


@lru_cache(maxsize=2048)
def listing(symbol: str) -> Listing:
    funding = is_funding(symbol)
    base, quote = (symbol[1:], "") if funding else split_pair(symbol)
    return Listing(
        symbol=symbol,
        base=currencies.code(base),
        quote=currencies.code(quote),
        base_code=base,
        quote_code=quote,
        name=currencies.name(base),
        paper=is_paper(symbol),
        funding=funding,
    )


def usd_rates(quotes: Iterable[Quote]) -> dict[str, float]:
    """Exchange's currency code → its last price in USD, direct where such a pair exists, else over
    one other currency. For ordering and orientation only.
    """
    legs = [
        (*split_pair(quote.symbol), last)
        for quote in quotes
        if (last := _float(quote.last))
        and not is_funding(quote.symbol)
        and not is_paper(quote.symbol)
    ]
    rates = {"USD": 1.0}
    rates.update((base, last) for base, quote, last in legs if quote == "USD")
    for base, quote, last in legs:
        if quote in rates:
            rates.setdefault(base, last * rates[quote])
        elif base in rates:
            rates.setdefault(quote, rates[base] / last)
    return rates


def turnover(quote: Quote, rates: dict[str, float]) -> float | None:
    """Traded (or lent) in 24 h, in USD at the last price; None where no rate is known, or where
    the sum is too large for a float.
    """
    funding = is_funding(quote.symbol)
    rate = rates.get(quote.symbol[1:] if funding else split_pair(quote.symbol)[1])
    volume = _float(quote.volume)
    last = 1.0 if funding else _float(quote.last)
    if rate is None or volume is None or last is None:
        return None
    usd = volume * last * rate
    return usd if isfinite(usd) else None


def _float(number: Number | None) -> float | None:
    """None for an integer too large for a float, too."""
    try:
        return None if number is None else float(number)
    except OverflowError:
        return None
