"""What customers ask of their orders: submit, update, cancel; checked against market and money.

Raises `Denied` for what cannot even be tried (REST answers an error) and `Rejected` for what the
exchange's inside turns down (REST answers HTTP 200 and a notification with ERROR).
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from market.sandbox.order_book import OrderBook
from market.sandbox.orders import CLOSE, FLAGS, OCO, REDUCE_ONLY, Order
from market.sandbox.positions import Positions
from market.sandbox.records import Records
from market.sandbox.settlement import not_enough
from market.sandbox.tickets import (
    Change,
    Ticket,
    day_of,
    read_change,
    read_ticket,
    whole,
    within_day,
)
from market.sandbox.trading import Trading, trailing_price
from market.sandbox.venue import Listed, Venue
from market.sandbox.wallets import ZERO
from market.sandbox.wire import Denied

_MANY = 1 << 53


class Rejected(Exception):
    """The exchange's inside turned an order down; `args[0]` is its text."""


class OrderDesk:
    """One customer at a time: each call names him and the key he used."""

    def __init__(
        self,
        orders: OrderBook,
        trading: Trading,
        positions: Positions,
        records: Records,
        venue: Venue,
    ) -> None:
        self._orders, self._trading, self._positions = orders, trading, positions
        self._records, self._venue = records, venue

    def submit(self, user: str, key: str, body: dict[str, Any], now: float) -> list[list[Any]]:
        """Place an order; its row (of an OCO both rows) as it was before anything happened to it.

        Raises Denied, Rejected.
        """
        ticket = read_ticket(body, now)
        pair = self._pair(ticket.symbol)
        ticket = self._on_margin(user, ticket, pair)
        if abs(ticket.amount) < pair.smallest:
            raise Rejected(f"Invalid order: minimum size for {_name(pair)} is {pair.smallest}")
        if abs(ticket.amount) > pair.largest:
            raise Rejected(f"Invalid order: maximum size for {_name(pair)} is {pair.largest}")
        order = self._order(user, key, ticket, now)
        self._check_margin(order, pair)
        if ticket.flags & OCO:
            return self._submit_oco(order, ticket, now)
        row = order.row()
        self._trading.start(order, now)
        return [row]

    def update(self, user: str, body: dict[str, Any], now: float) -> tuple[list[Any], Order]:
        """Change an open order; its row before, and the order. Raises Denied, Rejected."""
        order = self.find(user, body)
        change = read_change(body, now)
        before = order.row()
        fresh = _changed(order, change)
        pair = self._pair(order.symbol)
        if abs(fresh["amount"]) < pair.smallest:
            raise Rejected(f"Invalid order: minimum size for {_name(pair)} is {pair.smallest}")
        fresh |= {"previous": order.kind, "updated": int(now * 1000)}
        old = {name: getattr(order, name) for name in fresh}
        _apply(order, fresh)
        try:
            self._check_margin(order, pair)
            self._trading.restart(order, now)
        except Denied:
            _apply(order, old)
            raise
        return before, order

    def cancel(self, user: str, body: dict[str, Any], now: float) -> list[Any]:
        """Cancel one order by id, or by cid and the day it was made; its row before.

        Raises Denied.
        """
        order = self.find(user, body)
        row = order.row()
        self._trading.end(order, "CANCELED", now)
        return row

    def cancel_multi(self, user: str, body: dict[str, Any], now: float) -> list[list[Any]]:
        """Cancel what a body names by `id`, `cid`, `gid` or `all`; the rows before.

        Raises Denied when it names nothing.
        """
        orders = list(dict.fromkeys(order.id for order in self._named(user, body)))
        rows = []
        for order_id in orders:
            order = self._orders.get(order_id)
            if order is not None and order.active:
                rows.append(order.row())
                self._trading.end(order, "CANCELED", now)
        return rows

    def cancel_all(self, user: str, now: float) -> None:
        for order in self._orders.open(user):
            if order.active:
                self._trading.end(order, "CANCELED", now)

    def find(self, user: str, body: dict[str, Any]) -> Order:
        """The open order a body names. Raises Denied when there is none."""
        number = whole(body, "id", _MANY)
        if number is not None:
            order = self._orders.get(number)
            if order is not None and order.user == user and order.active:
                return order
            raise Denied(10001, "Order not found.")
        cid = whole(body, "cid", _MANY)
        if cid is None:
            raise Denied(10001, "id: invalid")
        day = day_of(body.get("cid_date"))
        for order in self._orders.open(user):
            if order.cid == cid and within_day(order.created, day):
                return order
        raise Denied(10001, "Order not found.")

    def available(self, user: str, body: dict[str, Any]) -> Decimal:
        """How much of a symbol could be bought (`dir` 1) or sold: `auth/calc/order/avail`."""
        pair = self._pair(str(body.get("symbol", "")))
        direction = -1 if body.get("dir") in (-1, "-1") else 1
        if "EXCHANGE" not in str(body.get("type", "EXCHANGE")):
            return Decimal(str(self._positions.pair(user, pair)[2 if direction > 0 else 3]))
        return direction * self._positions.spot(user, pair, buy=direction > 0)

    # What makes up a new order

    def _order(self, user: str, key: str, ticket: Ticket, now: float) -> Order:
        now_ms = int(now * 1000)
        order = Order(
            id=self._records.next_id(now), user=user, key=key, symbol=ticket.symbol,
            kind=ticket.kind, amount=ticket.amount, original=ticket.amount, price=ticket.price,
            created=now_ms, updated=now_ms, cid=now_ms if ticket.cid is None else ticket.cid,
            gid=ticket.gid, flags=ticket.flags, trailing=ticket.trailing, aux=ticket.aux,
            tif=ticket.tif, lev=ticket.lev, meta=ticket.meta,
        )  # fmt: skip
        last = self._venue.last(ticket.symbol)
        if last is not None and order.basic == "MARKET":
            order.price = self._venue.best(order.symbol, bid=not order.buys) or last
        if last is not None and order.trailing:
            order.price = trailing_price(order, last)
        return order

    def _submit_oco(self, order: Order, ticket: Ticket, now: float) -> list[list[Any]]:
        """A limit order and a stop: what happens to one ends the other."""
        kind = "EXCHANGE STOP" if order.spot else "STOP"
        other = replace(ticket, kind=kind, price=ticket.oco, cid=None)
        stop = self._order(order.user, order.key, other, now)
        stop.placed = order.id
        order.partner, stop.partner = stop.id, order.id
        rows = [order.row(), stop.row()]
        self._trading.start(order, now)
        if order.active and not order.traded:
            self._trading.start(stop, now)
        return rows

    def _on_margin(self, user: str, ticket: Ticket, pair: Listed) -> Ticket:
        """What type and flags mean on margin. Raises Denied when they do not fit the pair."""
        spot = ticket.kind.startswith("EXCHANGE ")
        if (spot and pair.future) or (not spot and not pair.margin):
            raise Denied(10001, "type: invalid")
        if ticket.lev is not None and not pair.future:
            raise Denied(10001, "lev: invalid")
        if pair.future and ticket.lev is None:
            ticket = replace(ticket, lev=10)
        if not ticket.flags & (CLOSE | REDUCE_ONLY):
            return ticket
        position = None if spot else self._positions.get(user, ticket.symbol)
        held = position.amount if position else ZERO
        if not held or (ticket.amount and ticket.amount * held > 0):
            raise Rejected("Invalid order: no position to reduce")
        if ticket.flags & CLOSE or abs(ticket.amount) > abs(held):
            return replace(ticket, amount=-held)
        return ticket

    def _check_margin(self, order: Order, pair: Listed) -> None:
        """Raises Denied when an order that adds to a position has not the margin for it."""
        if order.spot:
            return
        position = self._positions.get(order.user, order.symbol)
        held = position.amount if position else ZERO
        more = abs(order.amount + held) - abs(held)
        price = order.price or self._venue.last(order.symbol) or ZERO
        if more > 0 and more * price > self._positions.tradable(order.user, pair, order.lev):
            raise not_enough(order, pair)

    def _named(self, user: str, body: dict[str, Any]) -> Iterator[Order]:
        asked = {name: body[name] for name in ("id", "cid", "gid", "all") if body.get(name)}
        if not asked:
            raise Denied(10001, "id: invalid")
        ids, gids = (set(map(str, _listed(asked.get(name)))) for name in ("id", "gid"))
        cids = [(str(cid), day_of(date)) for cid, date in _pairs(asked.get("cid"))]
        for order in self._orders.open(user):
            by_cid = any(str(order.cid) == cid and within_day(order.created, day)
                         for cid, day in cids)  # fmt: skip
            if asked.get("all") or str(order.id) in ids or str(order.gid) in gids or by_cid:
                yield order

    def _pair(self, symbol: str) -> Listed:
        pair = self._venue.listed.get(symbol)
        if pair is None:
            raise Denied(10020, "symbol: invalid")
        return pair


def _changed(order: Order, change: Change) -> dict[str, Any]:
    """The fields of an order after a change. Raises Denied."""
    amount = order.amount if change.amount is None else change.amount
    amount += change.delta or ZERO
    if amount * order.original <= 0:
        raise Denied(10001, "amount: invalid")
    flags = order.flags if change.flags is None else change.flags
    if flags & ~FLAGS:
        raise Denied(10001, "flags: invalid")
    given = {
        "amount": amount, "flags": flags, "price": change.price, "trailing": change.trailing,
        "aux": change.aux, "gid": change.gid, "tif": change.tif, "lev": change.lev,
        "meta": change.meta,
    }  # fmt: skip
    return {name: getattr(order, name) if value is None else value
            for name, value in given.items()}  # fmt: skip


def _apply(order: Order, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(order, name, value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """`[[cid, "YYYY-MM-DD"], …]`. Raises Denied for anything else."""
    pairs = _listed(value)
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise Denied(10001, "cid: invalid")
    return [(cid, date) for cid, date in pairs]


def _name(pair: Listed) -> str:
    return f"{pair.base}/{pair.quote}"
