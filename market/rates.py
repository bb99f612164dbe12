"""What things are worth, as exact decimals. No I/O; `market.prices` reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from market.bitfinex.messages import Number, Ticker
from market.bitfinex.symbols import is_funding, split_pair
from market.quotes import Quote, Source

AS_GOOD_AS = {"TESTUSD": "USD", "TESTUSDT": "UST", "TESTUSDTF0": "UST", "USTF0": "UST"}
"""Codes without a market of their own, and the one whose price they have: paper money and
collateral of derivatives."""

BRIDGES = ("UST", "BTC")
"""Currencies that others are quoted in where there is no pair with USD, or only the other way
round (`tUSTTRY`)."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one pair trades at, in its quote currency; None where the exchange sent nothing."""

    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None

    @classmethod
    def of(cls, quote: Quote | Ticker) -> Self:
        return cls(exact(quote.bid), exact(quote.ask), exact(quote.last))


Prices = Mapping[str, Price]
"""Symbol → price."""


def exact(number: Number | None) -> Decimal | None:
    """The exchange's own spelling of a market number (docs/decisions/001), if it is a price."""
    if number is None:
        return None
    value = Decimal(repr(number))
    return value if value.is_finite() and value > 0 else None


def of_quotes(quotes: Iterable[Quote]) -> Prices:
    """Of pairs, and only those that are known to be true: no last known values."""
    true = (each for each in quotes if each.source != Source.STALE)
    return {each.symbol: Price.of(each) for each in true if not is_funding(each.symbol)}


def usd_rate(code: str, prices: Prices) -> Decimal | None:
    """One unit of this currency (the exchange's code) in USD, at last prices: of its own pair with
    USD, else of a pair with a currency that has one. None where there is neither."""
    code = AS_GOOD_AS.get(code, code)
    if code == "USD":
        return Decimal(1)
    direct = _last(prices, code, "USD")
    if direct is not None:
        return direct
    for bridge in BRIDGES:
        rate = _last(prices, bridge, "USD")
        there, back = _last(prices, code, bridge), _last(prices, bridge, code)
        if rate is not None and there is not None:
            return there * rate
        if rate is not None and back is not None:
            return rate / back
    return None


def symbols_for(symbol: str) -> list[str]:
    """The pair itself, and every pair that may say what its quote currency is worth."""
    _, quote = split_pair(symbol)
    code = AS_GOOD_AS.get(quote, quote)
    if code == "USD":
        return [symbol]
    legs = [(code, "USD")]
    for bridge in BRIDGES:
        legs += [(bridge, "USD"), (code, bridge), (bridge, code)]
    return list(dict.fromkeys([symbol, *(name for leg in legs for name in _names(*leg))]))


def _last(prices: Prices, base: str, quote: str) -> Decimal | None:
    for name in _names(base, quote):
        if name in prices:
            return prices[name].last
    return None


def _names(base: str, quote: str) -> tuple[str, str]:
    return f"t{base}{quote}", f"t{base}:{quote}"
