"""Account REST v2 as a function of a signed call: bodies, errors and statuses, no I/O.

Layouts are those of docs.bitfinex.com (rest-auth) and of recorded responses.
"""

from collections.abc import Callable
from decimal import ROUND_DOWN
from typing import Any, NamedTuple, Protocol

import msgspec

from market.sandbox import rest
from market.sandbox.calls import CALLS, SCOPES, endpoint, permit
from market.sandbox.keys import Call, Key, Keys
from market.sandbox.notifications import Notifications
from market.sandbox.order_book import OrderBook
from market.sandbox.order_desk import OrderDesk
from market.sandbox.positions import Positions
from market.sandbox.records import Entry, Records, listed
from market.sandbox.settlement import MAKER_FEE, TAKER_FEE
from market.sandbox.transfers import transfer
from market.sandbox.venue import UNIT, Venue
from market.sandbox.wallets import Bank
from market.sandbox.wire import Denied, encode


class Ask(NamedTuple):
    """An admitted call. `rest` is what follows the endpoint: `tBTCUSD/hist`, or nothing."""

    key: Key
    rest: str
    body: dict[str, Any]
    now: float

    @property
    def user(self) -> str:
        return self.key.user


class Rooms(Protocol):
    """What the endpoints need of the house."""

    keys: Keys
    bank: Bank
    records: Records
    orders: OrderBook
    positions: Positions
    desk: OrderDesk
    notifications: Notifications
    venue: Venue


class AccountRest:
    """Answers signed calls."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        tell = rooms.notifications
        exact: dict[str, Callable[[Ask], Any]] = {
            "auth/r/permissions": self._permissions,
            "auth/r/info/user": self._user,
            "auth/r/wallets": self._wallets,
            "auth/r/summary": self._summary,
            "auth/calc/order/avail": self._available,
            "auth/w/transfer": self._transfer,
            "auth/w/order/submit": lambda ask: tell.submit(ask.key, ask.body, ask.now),
            "auth/w/order/update": lambda ask: tell.update(ask.key, ask.body, ask.now),
            "auth/w/order/cancel": lambda ask: tell.cancel(ask.key, ask.body, ask.now),
            "auth/w/order/cancel/multi": lambda ask: tell.cancel_multi(ask.key, ask.body, ask.now),
            "auth/w/order/multi": lambda ask: tell.multi(ask.key, ask.body, ask.now),
        }
        self._handlers: dict[str, Callable[[Ask], Any]] = {
            **{name: _exactly(handler) for name, handler in exact.items()},
            "auth/r/logins": _nothing,
            "auth/r/movements": _nothing,
            "auth/r/orders": self._orders,
            "auth/r/order": self._order_trades,
            "auth/r/trades": self._trades,
            "auth/r/ledgers": self._ledgers,
            "auth/r/positions": self._positions,
            "auth/r/info/margin": self._margin,
        }

    def answer(self, method: str, call: Call, body: bytes, now: float) -> rest.Reply:
        """Check the call on arrival, then carry it out. A handler answers None when there is
        nothing by that path."""
        name = endpoint(call.path) or ""
        handler = self._handlers.get(name)
        if method != "POST" or handler is None:
            return rest.not_found(method, f"/v2/{call.path}")
        try:
            key = self._rooms.keys.admit(call, now)
            permit(key.permissions, CALLS[name])
            value = handler(Ask(key, call.path.removeprefix(name)[1:], read_body(body), now))
        except Denied as denied:
            return rest.error(denied.code, denied.text)
        if value is None:
            return rest.not_found(method, f"/v2/{call.path}")
        return rest.Reply(200, encode(value))

    # Who he is and what he has

    def _permissions(self, ask: Ask) -> Any:
        given = ask.key.permissions
        return [[scope, *(int(act in given.get(scope, ())) for act in ("read", "write"))]
                for scope in SCOPES]  # fmt: skip

    def _user(self, ask: Ask) -> Any:
        return self._rooms.bank.user(ask.user, ask.now).row()

    def _wallets(self, ask: Ask) -> Any:
        return [wallet.row() for wallet in self._rooms.bank.wallets(ask.user)]

    def _summary(self, ask: Ask) -> Any:
        """Fees of makers and takers; no volume is counted (layout: documentation sample)."""
        volume = {"curr": "Total (USD)", "vol": 0, "vol_safe": 0, "vol_maker": 0, "vol_BFX": 0,
                  "vol_BFX_safe": 0, "vol_BFX_maker": 0}  # fmt: skip
        fees = [[MAKER_FEE] * 3 + [None, None, 0.0002], [TAKER_FEE] * 3 + [None, None, 0.00065]]
        leo = {"leo_lev": 0, "leo_amount_avg": 0}
        return [None] * 4 + [fees, [[volume], {}, 0], [None, {}, 0], None, None, leo]

    def _available(self, ask: Ask) -> Any:
        available = self._rooms.desk.available(ask.user, ask.body)
        return [available.quantize(UNIT, ROUND_DOWN)]

    def _transfer(self, ask: Ask) -> Any:
        return transfer(self._rooms.bank, self._rooms.records, ask.user, ask.body, ask.now)

    # Orders and what became of them

    def _orders(self, ask: Ask) -> Any:
        symbol, hist = _section(ask.rest)
        if hist is None:
            return None
        ids = {str(number) for number in ask.body.get("id") or []}
        orders = self._rooms.orders

        def wanted(order: Any) -> bool:
            seen = orders.seen(order, ask.now)
            return seen and symbol in ("", order.symbol) and (not ids or str(order.id) in ids)

        if not hist:
            return [order.row() for order in orders.open(ask.user) if wanted(order)]
        closed = listed(orders.closed(ask.user), ask.body, lambda order: order.updated, wanted)
        return [order.row() for order in closed]

    def _order_trades(self, ask: Ask) -> Any:
        name, _, section = ask.rest.partition("/")
        symbol, _, number = name.rpartition(":")
        if section != "trades":
            return None
        trades = self._rooms.records.trades(ask.user)
        return [t.order_row() for t in trades if (t.symbol, str(t.order)) == (symbol, number)][::-1]

    def _trades(self, ask: Ask) -> Any:
        symbol, hist = _section(ask.rest)
        if not hist:
            return None
        trades = self._rooms.records.trades(ask.user)
        found = listed(trades, ask.body, lambda t: t.mts, lambda t: symbol in ("", t.symbol))
        return [trade.row() for trade in found]

    def _ledgers(self, ask: Ask) -> Any:
        currency, hist = _section(ask.rest)
        if not hist:
            return None
        category = ask.body.get("category")

        def wanted(entry: Entry) -> bool:
            here = currency in ("", entry.currency)
            return here and (category is None or str(category) == str(entry.category))

        entries = listed(
            self._rooms.records.entries(ask.user), ask.body, lambda entry: entry.mts, wanted
        )
        return [entry.row() for entry in entries]

    # Margin

    def _positions(self, ask: Ask) -> Any:
        positions, venue = self._rooms.positions, self._rooms.venue
        if not ask.rest:
            return [p.row(venue.last(p.symbol)) for p in positions.open(ask.user)]
        if ask.rest == "snap":
            return [p.row() for p in positions.open(ask.user)]
        if ask.rest != "hist":
            return None
        closed = listed(positions.closed(ask.user), ask.body, lambda p: p.updated)
        return [position.row() for position in closed]

    def _margin(self, ask: Ask) -> Any:
        positions, venue = self._rooms.positions, self._rooms.venue
        if ask.rest == "base":
            return ["base", positions.base(ask.user)]
        pairs = [p for p in venue.listed.values() if p.margin and not p.future]
        if ask.rest == "sym_all":
            return [["sym", p.symbol, positions.pair(ask.user, p)] for p in pairs]
        for pair in pairs:
            if pair.symbol == ask.rest:
                return ["sym", pair.symbol, positions.pair(ask.user, pair)]
        raise Denied(10020, "symbol: invalid")


def read_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a call; nothing at all stands for `{}`."""
    try:
        value = msgspec.json.decode(body or b"{}")
    except msgspec.MsgspecError:
        value = None
    if not isinstance(value, dict):
        raise Denied(10020, "body: invalid")
    return value


def _exactly(handler: Callable[[Ask], Any]) -> Callable[[Ask], Any]:
    """An endpoint without anything below it."""
    return lambda ask: None if ask.rest else handler(ask)


def _nothing(ask: Ask) -> Any:
    """A history of things that do not happen here."""
    return [] if ask.rest.split("/")[-1] == "hist" else None


def _section(path: str) -> tuple[str, bool | None]:
    """`tBTCUSD/hist` → the symbol and whether history is asked for, None for anything else."""
    if path in ("", "hist"):
        return "", path == "hist"
    name, slash, section = path.partition("/")
    return name, (section == "hist" if not slash or section == "hist" else None)
