"""An order book: single orders, and the precisions and checksums the exchange publishes of them."""

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from heapq import merge
from itertools import islice
from typing import NamedTuple

from market.sandbox.prices import spell

DIGITS = {"P0": 5, "P1": 4, "P2": 3, "P3": 2, "P4": 1}


@dataclass
class Order:
    """A resting order. `amount` in units of 1e-8, above 0; `period` in days, funding only."""

    id: int
    price: float
    amount: int
    period: int | None = None


class Line(NamedTuple):
    """One level (or, in R0, one order) as a channel shows it."""

    key: str
    """What it replaces: the side, and the price or the order."""
    row: str
    gone: str
    """The update that deletes it."""
    checked: str
    """What enters the checksum: price or order id, and amount."""


class Book:
    """The resting orders of one symbol, best first, then oldest first.

    Trading symbols write bids with positive amounts and asks with negative ones; funding symbols
    the other way round, and with a period. Orders of customers are guests: everybody sees them
    among the others, but only the matching engine (`trading`) deals with them.
    """

    def __init__(self, *, funding: bool = False) -> None:
        self.funding = funding
        self.orders: dict[int, Order] = {}
        self._sides: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
        self._guests: dict[bool, dict[int, Order]] = {True: {}, False: {}}

    def add(self, order: Order, *, bid: bool) -> None:
        self.orders[order.id] = order
        insort(self._sides[bid], (-order.price if bid else order.price, order.id))

    def remove(self, order_id: int, *, bid: bool) -> None:
        order = self.orders.pop(order_id)
        side = self._sides[bid]
        del side[bisect_left(side, (-order.price if bid else order.price, order.id))]

    def side(self, *, bid: bool) -> Iterator[Order]:
        """The orders of one side, best first, without guests."""
        return (self.orders[order_id] for _, order_id in self._sides[bid])

    def show(self, guest: Order, *, bid: bool) -> None:
        """Show a customer's order, or what is left of it."""
        self._guests[bid][guest.id] = guest

    def hide(self, order_id: int, *, bid: bool) -> None:
        self._guests[bid].pop(order_id, None)

    def shown(self, *, bid: bool) -> Iterator[Order]:
        """The orders of one side with the guests, best first."""
        if not self._guests[bid]:
            return self.side(bid=bid)
        sign = -1 if bid else 1
        guests = sorted(self._guests[bid].values(), key=lambda one: (sign * one.price, one.id))
        return merge(self.side(bid=bid), guests, key=lambda order: sign * order.price)

    def count(self, *, bid: bool) -> int:
        return len(self._sides[bid])

    def best(self, *, bid: bool) -> Order | None:
        return next(self.side(bid=bid), None)

    def at(self, place: int, *, bid: bool) -> Order:
        """The order at a place in the queue, 0 the best."""
        return self.orders[self._sides[bid][place][1]]

    def depth(self, levels: int, *, bid: bool) -> int:
        """Sum of the amounts in the best `levels` price levels."""
        total, seen, price = 0, 0, None
        for order in self.side(bid=bid):
            if order.price != price:
                price, seen = order.price, seen + 1
                if seen > levels:
                    break
            total += order.amount
        return total

    def lines(self, prec: str, length: int) -> tuple[list[Line], list[Line]]:
        """The best `length` lines of bids and of asks."""
        both = []
        for bid in (True, False):
            lines = self._orders(bid=bid) if prec == "R0" else self._levels(prec, bid=bid)
            both.append(list(islice(lines, length)))
        return both[0], both[1]

    def _sign(self, *, bid: bool) -> int:
        return 1 if bid != self.funding else -1

    def _orders(self, *, bid: bool) -> Iterator[Line]:
        sign = self._sign(bid=bid)
        for order in self.shown(bid=bid):
            amount = spell(sign * order.amount / 1e8)
            middle = "" if order.period is None else f"{order.period},"
            yield Line(
                f"{sign}:{order.id}",
                f"[{order.id},{middle}{spell(order.price)},{amount}]",
                f"[{order.id},{middle}0,{sign}]",
                f"{order.id}:{amount}",
            )

    def _levels(self, prec: str, *, bid: bool) -> Iterator[Line]:
        digits, sign = DIGITS[prec], self._sign(bid=bid)
        level: tuple[float, int | None] | None = None
        count = amount = 0
        for order in self.shown(bid=bid):
            place = (rounded(order.price, digits, up=not bid), order.period)
            if place != level:
                if level is not None:
                    yield _level(level, count, sign, amount)
                level, count, amount = place, 0, 0
            count, amount = count + 1, amount + order.amount
        if level is not None:
            yield _level(level, count, sign, amount)


def _level(level: tuple[float, int | None], count: int, sign: int, amount: int) -> Line:
    price, period = level
    where = spell(price) if period is None else f"{spell(price)},{period}"
    text = spell(sign * amount / 1e8)
    return Line(
        f"{sign}:{where}",
        f"[{where},{count},{text}]",
        f"[{where},0,{sign}]",
        f"{spell(price)}:{text}",
    )


@lru_cache(maxsize=65536)
def rounded(price: float, digits: int, *, up: bool) -> float:
    """A price in a coarser precision: bids fall, asks rise."""
    if digits == DIGITS["P0"]:
        return price
    exact = Decimal(repr(price))
    unit = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    return float(exact.quantize(unit, ROUND_CEILING if up else ROUND_FLOOR))


class View:
    """One precision and length of a book, as the subscribers of that channel have it."""

    def __init__(self, book: Book, prec: str, length: int) -> None:
        self._book, self._prec, self._length = book, prec, length
        self._bids, self._asks = book.lines(prec, length)
        self._shown = {line.key: line for line in (*self._bids, *self._asks)}

    def rows(self) -> list[str]:
        return [line.row for line in (*self._bids, *self._asks)]

    def update(self) -> list[str]:
        """The updates that bring subscribers up to date: deletions first."""
        self._bids, self._asks = self._book.lines(self._prec, self._length)
        shown = {line.key: line for line in (*self._bids, *self._asks)}
        updates = [line.gone for key, line in self._shown.items() if key not in shown]
        before = self._shown
        updates += [
            line.row
            for key, line in shown.items()
            if key not in before or before[key].row != line.row
        ]
        self._shown = shown
        return updates

    def checksum(self) -> int:
        return checksum(
            [line.checked for line in self._bids], [line.checked for line in self._asks]
        )


def checksum(bids: list[str], asks: list[str]) -> int:
    """Signed CRC-32 over the best 25 of both sides in turn, missing places left out.

    Each entry is `price:amount` (`id:amount` in R0), spelled as on the wire (Bitfinex docs,
    ws-websocket-checksum; agrees with recorded frames).
    """
    parts: list[str] = []
    for place in range(25):
        parts += bids[place : place + 1]
        parts += asks[place : place + 1]
    crc = zlib.crc32(":".join(parts).encode())
    return crc - (1 << 32) if crc >= 1 << 31 else crc
