"""The market as the matching of customers' orders sees it: pairs, prices, and what can be traded.

`Venue` works with every source. With a recording, what the book shows can be traded again and
again, and nobody sees a customer's order. `MarketVenue` takes from the seeded market's book, shows
customers' orders in it, and reports their trades.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from market.sandbox.book import Order
from market.sandbox.prices import CURRENCIES, split_pair
from market.sandbox.state import Market
from market.sandbox.topics import Source

UNIT = Decimal("1e-8")
_DOLLARS = ("USD", "UST", "TESTUSD", "USTF0")


class Listed(NamedTuple):
    """A pair that can be traded, as conf describes it."""

    symbol: str
    base: str
    quote: str
    smallest: Decimal
    largest: Decimal
    margin: bool
    future: bool


class Offer(NamedTuple):
    """Somebody offers so much at a price."""

    price: Decimal
    amount: Decimal


class Print(NamedTuple):
    """A trade among others; `amount` signed by the taker's side."""

    symbol: str
    price: Decimal
    amount: Decimal


class Venue:
    """What any source of prices has to offer."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @cached_property
    def listed(self) -> dict[str, Listed]:
        """By symbol."""
        margin = set(self._conf("pub:list:pair:margin"))
        rows = [(row, False) for row in self._conf("pub:info:pair")]
        rows += [(row, True) for row in self._conf("pub:info:pair:futures")]
        return {
            f"t{name}": Listed(
                f"t{name}", *split_pair(name), Decimal(info[3]), Decimal(info[4]),
                margin=name in margin or future, future=future,
            )
            for (name, info), future in rows
        }  # fmt: skip

    def last(self, symbol: str) -> Decimal | None:
        return self._ticker(symbol, 6)

    def best(self, symbol: str, *, bid: bool) -> Decimal | None:
        return next((offer.price for offer in self.offers(symbol, bid=bid)), None)

    def offers(self, symbol: str, *, bid: bool) -> Iterator[Offer]:
        """One side of the book without customers' orders, best first."""
        rows = [msgspec.json.decode(row) for row in self._source.book(symbol, "P0", 25)]
        side = [Offer(exact(row[0]), abs(exact(row[2]))) for row in rows if (row[2] > 0) == bid]
        best, size = self._ticker(symbol, 0 if bid else 2), self._ticker(symbol, 1 if bid else 3)
        if not side and best and size:
            side = [Offer(best, size)]
        return iter(side)

    def take(self, symbol: str, *, bid: bool, amount: Decimal, price: Decimal) -> None:
        """A customer took so much of the best bids or asks, at a price."""

    def show(self, symbol: str, order_id: int, price: Decimal, amount: Decimal) -> None:
        """A customer's order (or the rest of it) is in the book; `amount` is signed."""

    def hide(self, symbol: str, order_id: int, *, bid: bool) -> None:
        """It is no longer."""

    def watch(self, symbols: set[str]) -> None:
        """Whose prints matter."""

    def prints(self) -> list[Print]:
        """Trades among others since asked last."""
        return []

    def usd(self, currency: str) -> Decimal:
        """What one of a currency is worth."""
        if currency in ("USD", "TESTUSD", "TESTUSDT"):
            return Decimal(1)
        for quote in _DOLLARS:
            pair = self._by_legs.get((currency, quote))
            last = self.last(pair.symbol) if pair else None
            if last:
                return last
        known = CURRENCIES.get(currency.removesuffix("F0"))
        return exact(known.usd) if known else Decimal(0)

    @cached_property
    def _by_legs(self) -> dict[tuple[str, str], Listed]:
        return {(pair.base, pair.quote): pair for pair in self.listed.values()}

    def _conf(self, key: str) -> list[Any]:
        text = self._source.info(key)
        return msgspec.json.decode(text, type=list[Any]) if text else []

    def _ticker(self, symbol: str, place: int) -> Decimal | None:
        text = self._source.ticker(symbol)
        value = msgspec.json.decode(text)[place] if text else None
        return None if value is None else exact(value)


class MarketVenue(Venue):
    """The seeded market."""

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self._market = market

    def last(self, symbol: str) -> Decimal | None:
        desk = self._market.pair_desk(symbol)
        return exact(desk.last) if desk else None

    def offers(self, symbol: str, *, bid: bool) -> Iterator[Offer]:
        desk = self._market.pair_desk(symbol)
        if desk is not None:
            for order in desk.book.side(bid=bid):
                yield Offer(exact(order.price), order.amount * UNIT)

    def take(self, symbol: str, *, bid: bool, amount: Decimal, price: Decimal) -> None:
        desk = self._market.pair_desk(symbol)
        if desk is None:
            return
        units = left = int(amount / UNIT)
        while left and (order := desk.book.best(bid=bid)):
            taken = min(left, order.amount)
            left, order.amount = left - taken, order.amount - taken
            if not order.amount:
                desk.book.remove(order.id, bid=bid)
        self._market.trade(desk, -units if bid else units, float(price))

    def show(self, symbol: str, order_id: int, price: Decimal, amount: Decimal) -> None:
        if desk := self._market.pair_desk(symbol):
            guest = Order(order_id, float(price), int(abs(amount) / UNIT))
            desk.book.show(guest, bid=amount > 0)
            self._market.moved(desk)

    def hide(self, symbol: str, order_id: int, *, bid: bool) -> None:
        if desk := self._market.pair_desk(symbol):
            desk.book.hide(order_id, bid=bid)
            self._market.moved(desk)

    def watch(self, symbols: set[str]) -> None:
        self._market.watched = symbols

    def prints(self) -> list[Print]:
        return [
            Print(symbol, exact(price), amount * UNIT)
            for symbol, price, amount in self._market.take_prints()
        ]


def venue_of(source: Source) -> Venue:
    return MarketVenue(source) if isinstance(source, Market) else Venue(source)


def exact(number: float) -> Decimal:
    """The decimal number that a double was written as."""
    return Decimal(repr(number))
