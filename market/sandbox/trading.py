"""The matching engine: customers' orders among themselves and against the market.

Price before time; at one price the market comes first. What crosses is traded at once at the prices
of the book, the rest waits until the market reaches its price: when an offer of the other side
crosses it, or a trade of others is made at or through it. Stops are triggered by the last price.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from market.sandbox.order_book import OrderBook
from market.sandbox.orders import POST_ONLY, Order
from market.sandbox.settlement import Fill, Settlement, Tape, not_enough
from market.sandbox.tickets import cut
from market.sandbox.venue import Listed, Print, Venue
from market.sandbox.wallets import ZERO
from market.sandbox.wire import Notice


class Match(NamedTuple):
    """Somebody to trade with: a customer's order, or (None) the market."""

    price: Decimal
    amount: Decimal
    order: Order | None


class Trading:
    """Brings orders together. `notices` is what sockets have yet to be told."""

    def __init__(self, orders: OrderBook, settlement: Settlement, venue: Venue) -> None:
        self._orders, self._settlement, self._venue = orders, settlement, venue
        self.notices: list[Notice] = []

    def start(self, order: Order, now: float) -> None:
        """Let a new order (told as `on`) trade and rest. Raises Denied when it cannot be paid.

        Nothing of it is left when it is refused.
        """
        pair, tape = self._pair(order), Tape(order)
        self._check_funds(order, pair)
        self._settlement.reserve(order, pair, tape)
        self._orders.add(order)
        self.notices += tape.notices("on")
        if not order.pending:
            self._trade(order, now)

    def restart(self, order: Order, now: float) -> None:
        """Let a changed order lose its place and try again; told as `ou`."""
        pair, tape = self._pair(order), Tape(order)
        self._settlement.reserve(order, pair, tape)
        self._withdraw(order)
        self._orders.note(order)
        self.notices += tape.notices("ou")
        if not order.pending:
            self._trade(order, now)

    def end(self, order: Order, word: str, now: float, tape: Tape | None = None) -> None:
        """Close an order, told as `oc`, and the other half of an OCO with it."""
        tape = tape or Tape(order)
        order.end(word, int(now * 1000))
        self._withdraw(order)
        self._settlement.reserve(order, self._pair(order), tape)
        self._orders.note(order)
        self.notices += tape.notices("oc")
        self._end_partner(order, now)

    def advance(self, now: float) -> None:
        """What time and prices bring: ends, triggers, fills."""
        now_ms = int(now * 1000)
        prints = self._venue.prints()
        for order in self._orders.watched():
            if order.active and order.tif is not None and order.tif <= now_ms:
                self.end(order, "CANCELED", now)
            elif order.active and order.pending and self._triggered(order):
                self._trigger(order, now)
        for printed in prints:
            self._follow(printed, now)
        symbols = self._orders.resting_symbols()
        self._venue.watch(symbols)
        for symbol in symbols:
            for bid in (True, False):
                self._reach(symbol, now, bid=bid)

    def fill(self, order: Order, amount: Decimal, now: float) -> None:
        """Let a resting order trade so much at its price, as if somebody had come for it."""
        sign = 1 if order.buys else -1
        fill = Fill(sign * min(amount, abs(order.amount)), order.price, maker=True)
        self._fill_resting(order, fill, now)

    def load(self) -> None:
        """Let the orders of an earlier run rest where they rested."""
        for order in sorted(self._orders.every_open(), key=lambda order: order.id):
            if not order.pending:
                self._orders.rest(order)
                self._show(order)

    def take_notices(self) -> list[Notice]:
        notices, self.notices = self.notices, []
        return notices

    # Taking

    def _trade(self, order: Order, now: float) -> None:
        """Trade with what the book offers, then rest or end, as the type wants it."""
        pair, tape = self._pair(order), Tape(order)
        matches = list(self._matches(order))
        found = sum((match.amount for match in matches), ZERO)
        cost = sum((match.amount * match.price for match in matches), ZERO)
        if order.flags & POST_ONLY and matches:
            self.end(order, "POSTONLY CANCELED", now)
            return
        if order.basic == "FOK" and found < abs(order.amount):
            self.end(order, "FILLORKILL CANCELED", now)
            return
        if order.spot and not self._settlement.affordable(
            order, pair, cost if order.buys else found
        ):
            self.end(order, "INSUFFICIENT BALANCE (G1)", now)
            return
        sign = 1 if order.buys else -1
        for match in matches:
            if match.order and not match.order.active:
                continue
            self._meet(order, match, now)
            fill = Fill(sign * match.amount, match.price, maker=False)
            self._settlement.fill(order, pair, fill, now, tape)
        self._settle_rest(order, tape, now)

    def _settle_rest(self, order: Order, tape: Tape, now: float) -> None:
        if not order.amount:
            self.end(order, "EXECUTED", now, tape)
        elif order.basic == "IOC":
            self.end(order, "IOC CANCELED", now, tape)
        elif order.basic in ("MARKET", "FOK"):
            self.end(order, "CANCELED", now, tape)
        else:
            self._orders.rest(order)
            self._orders.note(order)
            self._show(order)
            if tape.trades:
                self.notices += tape.notices("ou")
                self._end_partner(order, now)

    def _matches(self, order: Order) -> Iterator[Match]:
        """What an order can trade with within its limit, best first, until it is filled."""
        left = abs(order.amount)
        limit = None if order.basic == "MARKET" else order.price
        for offer in self._other_side(order):
            beyond = limit is not None and (
                offer.price > limit if order.buys else offer.price < limit
            )
            if not left or beyond:
                return
            amount = min(left, offer.amount)
            left -= amount
            yield offer._replace(amount=amount)

    def _other_side(self, order: Order) -> Iterator[Match]:
        """The book against an order: the market's offers and other orders, best first."""
        bid, sign = not order.buys, 1 if order.buys else -1
        own = bool(order.meta.get("protect_selfmatch"))
        guests = (
            Match(guest.price, abs(guest.amount), guest)
            for guest in self._orders.resting(order.symbol, bid=bid)
            if not (own and guest.user == order.user)
        )
        guest = next(guests, None)
        for offer in self._venue.offers(order.symbol, bid=bid):
            while guest and sign * guest.price < sign * offer.price:
                yield guest
                guest = next(guests, None)
            yield Match(offer.price, offer.amount, None)
        while guest:
            yield guest
            guest = next(guests, None)

    def _meet(self, order: Order, match: Match, now: float) -> None:
        """The other side of a match gets its part."""
        bid = not order.buys
        if match.order is None:
            self._venue.take(order.symbol, bid=bid, amount=match.amount, price=match.price)
            return
        sign = 1 if match.order.buys else -1
        fill = Fill(sign * match.amount, match.price, maker=True)
        self._fill_resting(match.order, fill, now)

    # Resting

    def _reach(self, symbol: str, now: float, *, bid: bool) -> None:
        """Trade what rests with offers of the market that crossed it."""
        while order := next(self._orders.resting(symbol, bid=bid), None):
            offer = next(self._venue.offers(symbol, bid=not bid), None)
            if offer is None or (offer.price > order.price if bid else offer.price < order.price):
                return
            amount = min(offer.amount, abs(order.amount))
            self._venue.take(symbol, bid=not bid, amount=amount, price=order.price)
            fill = Fill(amount if bid else -amount, order.price, maker=True)
            self._fill_resting(order, fill, now)

    def _follow(self, printed: Print, now: float) -> None:
        """A trade of others at or through the price of what rests would have met it first."""
        bid, left = printed.amount < 0, abs(printed.amount)
        while left and (order := next(self._orders.resting(printed.symbol, bid=bid), None)):
            if printed.price > order.price if bid else printed.price < order.price:
                return
            amount = min(left, abs(order.amount))
            left -= amount
            fill = Fill(amount if bid else -amount, order.price, maker=True)
            self._fill_resting(order, fill, now)

    def _fill_resting(self, order: Order, fill: Fill, now: float) -> None:
        tape = Tape(order)
        self._settlement.fill(order, self._pair(order), fill, now, tape)
        if not order.amount:
            self.end(order, "EXECUTED", now, tape)
            return
        self._orders.note(order)
        self._show(order)
        self.notices += tape.notices("ou")
        self._end_partner(order, now)

    def _show(self, order: Order) -> None:
        if not order.hidden:
            self._venue.show(order.symbol, order.id, order.price, order.amount)

    def _withdraw(self, order: Order) -> None:
        if self._orders.leave(order) and not order.hidden:
            self._venue.hide(order.symbol, order.id, bid=order.buys)

    def _end_partner(self, order: Order, now: float) -> None:
        partner = self._orders.get(order.partner) if order.partner else None
        if partner is not None and partner.active:
            partner.partner = None
            self.end(partner, "CANCELED", now)

    # Stops

    def _triggered(self, order: Order) -> bool:
        """Whether the last price reached a stop; a trailing one follows it first."""
        last = self._venue.last(order.symbol)
        if last is None:
            return False
        if order.trailing:
            follows = trailing_price(order, last)
            if follows < order.price if order.buys else follows > order.price:
                order.price = follows
                self._orders.note(order)
        return last >= order.price if order.buys else last <= order.price

    def _trigger(self, order: Order, now: float) -> None:
        order.updated = int(now * 1000)
        if order.basic == "STOP LIMIT":
            order.become("LIMIT")
            order.price = order.aux
        else:
            order.become("MARKET")
        self._end_partner(order, now)
        self._orders.note(order)
        self.notices.append(Notice(order.user, "ou", order.row()))
        self._trade(order, now)

    def _check_funds(self, order: Order, pair: Listed) -> None:
        """Raises Denied when an order that trades at once could not be paid."""
        if not order.spot or order.basic not in ("MARKET", "IOC", "FOK"):
            return
        matches = list(self._matches(order))
        cost = sum((match.amount * match.price for match in matches), ZERO)
        amount = cost if order.buys else abs(order.amount)
        if not self._settlement.affordable(order, pair, amount):
            raise not_enough(order, pair)

    def _pair(self, order: Order) -> Listed:
        return self._venue.listed[order.symbol]


def trailing_price(order: Order, last: Decimal) -> Decimal:
    """The stop price of a trailing stop when the last price is this."""
    return cut(last + order.trailing if order.buys else last - order.trailing)
