"""Orders as values: what may be sent, its exact body, and what the answer proves.

Facts are those of the Bitfinex docs (rest-auth-submit-order, -update-order, -cancel-order,
-cancel-orders-multiple; ws-auth-input-order-new for flags and bounds; "Introduction" for the digits
of prices) and of recorded answers.

**What is definitive.** A result, and every `NotExecuted` that `market.bitfinex.rest.parse` raises:
the exchange said in its own words that it did nothing, be it as `["error", CODE, TEXT]` or as a
notification ERROR or FAILURE with HTTP 200. Everything else is `OutcomeUnknown`, so is a success
that speaks of another order, and must be looked up, never sent again. A submit that succeeded is
accepted, not placed; a cancel that succeeded is under way, its order still ACTIVE.
"""

import enum
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar

import msgspec

from market.bitfinex.account import Notification, Order, decoder, post, trading, whole
from market.bitfinex.errors import coded
from market.bitfinex.rest import Request

T = TypeVar("T")

BASIC_TYPES = ("MARKET", "LIMIT", "STOP", "STOP LIMIT", "TRAILING STOP", "FOK", "IOC")
SPOT = "EXCHANGE "
ORDER_TYPES = (*BASIC_TYPES, *(SPOT + basic for basic in BASIC_TYPES))
"""Without the prefix an order trades on margin, or a derivative; with it, the exchange wallet."""

MAX_CID = 2**45 - 1
MAX_GID = 2**31 - 1
MAX_LEVERAGE = 100
DECIMALS = 8
PRICE_DIGITS = 5
"""Significant digits of a price; the exchange cuts what is longer. A script's price is sent as it
is, a form refuses one that would be cut (`cut_price`): what is reviewed must be what is placed."""

LARGEST = Decimal(10) ** 12
GENERIC_ERROR = 10001
_REFUSED = frozenset({"ERROR", "FAILURE"})

_DERIVATIVE = re.compile(r"t[A-Z0-9]+F0:[A-Z0-9]+F0")


class Flag(enum.IntFlag):
    """Summed up in an order's `flags`."""

    HIDDEN = 64
    CLOSE = 512
    REDUCE_ONLY = 1024
    POST_ONLY = 4096
    OCO = 16384
    NO_VAR_RATES = 524288


_NO_FLAGS = Flag(0)
_ALL_FLAGS = Flag(sum(Flag))
_MARGIN_FLAGS = Flag.CLOSE | Flag.REDUCE_ONLY | Flag.NO_VAR_RATES
_LIMIT_FLAGS = Flag.POST_ONLY | Flag.OCO

_PRICES = {
    "MARKET": frozenset[str](),
    "LIMIT": frozenset({"price"}),
    "STOP": frozenset({"price"}),
    "STOP LIMIT": frozenset({"price", "price_aux_limit"}),
    "TRAILING STOP": frozenset({"price_trailing"}),
    "FOK": frozenset({"price"}),
    "IOC": frozenset({"price"}),
}
_PRICE_FIELDS = ("price", "price_trailing", "price_aux_limit", "price_oco_stop")


class OrderInvalid(ValueError):
    """An order that must not be sent. `field` is a name of `NewOrder` or of a request, `reason` one
    of: `missing` and `unexpected` (the type needs it, or has no use for it), `kind` (not the Python
    type that is exact), `unknown` (no such value), `not positive`, `zero`, `not finite`,
    `decimals` (more than eight), `range`, `not utc`, `margin only`, `limit only`, `derivatives
    only`.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field, self.reason = field, reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that the exchange can take: exactly the fields that its type needs, all of them
    exact. Raises `OrderInvalid`.

    Whether the pair exists, its smallest amount and the clock are the caller's to check.
    """

    symbol: str
    side: Literal["buy", "sell"]
    order_type: str
    amount: Decimal
    price: Decimal | None = None
    price_trailing: Decimal | None = None
    price_aux_limit: Decimal | None = None
    price_oco_stop: Decimal | None = None
    flags: Flag = _NO_FLAGS
    tif: datetime | None = None
    leverage: int | None = None
    gid: int | None = None

    def __post_init__(self) -> None:
        _demand_symbol(self.symbol)
        _demand(self.side in ("buy", "sell"), "side", "unknown")
        _demand(self.order_type in ORDER_TYPES, "order_type", "unknown")
        _demand_amount(self.amount)
        _demand(self.amount > 0, "amount", "not positive")
        self._demand_flags()
        self._demand_prices()
        if self.tif is not None:
            _demand_tif(self.tif)
        if self.leverage is not None:
            _demand_whole(self.leverage, "leverage", 1, MAX_LEVERAGE)
            derivative = self.is_margin and _DERIVATIVE.fullmatch(self.symbol)
            _demand(derivative, "leverage", "derivatives only")
        if self.gid is not None:
            _demand_whole(self.gid, "gid", 0, MAX_GID)

    @property
    def signed_amount(self) -> Decimal:
        """As the exchange has it: below 0 for a sale."""
        return self.amount if self.side == "buy" else self.amount.copy_negate()

    @property
    def is_margin(self) -> bool:
        """On margin or in a derivative, rather than from the exchange wallet."""
        return not self.order_type.startswith(SPOT)

    @property
    def basic_type(self) -> str:
        return self.order_type.removeprefix(SPOT)

    def _demand_flags(self) -> None:
        _demand_known(self.flags)
        _demand(self.is_margin or not self.flags & _MARGIN_FLAGS, "flags", "margin only")
        limit = self.basic_type == "LIMIT"
        _demand(limit or not self.flags & _LIMIT_FLAGS, "flags", "limit only")

    def _demand_prices(self) -> None:
        needed = _PRICES[self.basic_type]
        if Flag.OCO in self.flags:
            needed = needed | {"price_oco_stop"}
        for name in _PRICE_FIELDS:
            value = getattr(self, name)
            if value is None:
                _demand(name not in needed, name, "missing")
            else:
                _demand(name in needed, name, "unexpected")
                _demand_price(value, name)


# --- Requests -------------------------------------------------------------------------------------
def submit(order: NewOrder, cid: int) -> Request[list[Order]]:
    """Places an order; `cid` is how it is found again should the answer be lost. Gives the order,
    and after it the stop that belongs to an OCO, which has a client id of its own.
    """
    _demand_whole(cid, "cid", 1, MAX_CID)
    fields = {
        "type": order.order_type,
        "symbol": order.symbol,
        "amount": order.signed_amount,
        "price": order.price,
        "price_trailing": order.price_trailing,
        "price_aux_limit": order.price_aux_limit,
        "price_oco_stop": order.price_oco_stop,
        "lev": order.leverage,
        "flags": order.flags or None,
        "tif": order.tif,
        "gid": order.gid,
        "cid": cid,
    }

    def read(body: bytes) -> list[Order]:
        rows = _succeeded(body, "on-req", _decode_orders)
        _expect(rows and all(row.symbol == order.symbol for row in rows), "another symbol")
        own = [row for row in rows if row.cid == cid]
        _expect(own and (len(rows) == 1 or Flag.OCO in order.flags), "another client id")
        return own + [row for row in rows if row.cid != cid]

    return post("auth/w/order/submit", read, **_spelled(fields))


def update(  # noqa: PLR0913  what the exchange lets one change
    order_id: int,
    *,
    amount: Decimal | None = None,
    price: Decimal | None = None,
    price_trailing: Decimal | None = None,
    price_aux_limit: Decimal | None = None,
    flags: Flag | None = None,
    tif: datetime | None = None,
    leverage: int | None = None,
) -> Request[Order]:
    """Changes an order to these values, of which `amount` is the new rest, below 0 for a sale. All
    are absolute, so an update that was carried out twice changes nothing the second time.
    """
    prices = {
        "price": price,
        "price_trailing": price_trailing,
        "price_aux_limit": price_aux_limit,
    }
    if amount is not None:
        _demand_amount(amount)
        _demand(amount != 0, "amount", "zero")
    for name, value in prices.items():
        if value is not None:
            _demand_price(value, name)
    if flags is not None:
        _demand_known(flags)
    if tif is not None:
        _demand_tif(tif)
    if leverage is not None:
        _demand_whole(leverage, "leverage", 1, MAX_LEVERAGE)
    changes = _spelled({"amount": amount, **prices, "flags": flags, "tif": tif, "lev": leverage})
    _demand(changes, "update", "missing")
    number = _demand_whole(order_id, "order_id", 1)
    return post("auth/w/order/update", _one("ou-req", id=number), id=number, **changes)


def cancel(order_id: int) -> Request[Order]:
    """Tells one order to end; gives it as it was before."""
    number = _demand_whole(order_id, "order_id", 1)
    return post("auth/w/order/cancel", _one("oc-req", id=number), id=number)


def cancel_by_cid(cid: int, day: date) -> Request[Order]:
    """As `cancel`; `day` is the day in UTC on which the order was placed."""
    _demand_whole(cid, "cid", 1, MAX_CID)
    read = _one("oc-req", cid=cid)
    return post("auth/w/order/cancel", read, cid=cid, cid_date=_day(day))


def cancel_many(
    *, ids: Sequence[int] = (), cids: Sequence[tuple[int, date]] = ()
) -> Request[list[Order]]:
    """Tells these orders to end; gives those that will. An id that is not open is passed over."""
    wanted: dict[str, list[Any]] = {
        "id": [_demand_whole(number, "order_id", 1) for number in ids],
        "cid": [[_demand_whole(cid, "cid", 1, MAX_CID), _day(day)] for cid, day in cids],
    }
    wanted = {name: values for name, values in wanted.items() if values}
    _demand(wanted, "ids", "missing")
    return post("auth/w/order/cancel/multi", _read_cancelled, "", **wanted)


def cancel_all() -> Request[list[Order]]:
    """Tells every open order of the account to end, derivatives too. Each ends a little later:
    their state must be read again.
    """
    return post("auth/w/order/cancel/multi", _read_cancelled, all=1)


# --- States ---------------------------------------------------------------------------------------
State = Literal["active", "partially filled", "executed", "canceled", "other"]

_STATES: tuple[tuple[State, re.Pattern[str]], ...] = (
    ("active", re.compile(r"ACTIVE\b")),
    ("partially filled", re.compile(r"PARTIALLY FILLED\b")),
    ("executed", re.compile(r"(FORCED )?EXECUTED\b")),
    ("canceled", re.compile(r"((POSTONLY|IOC|FILLORKILL) )?CANCELED\b|INSUFFICIENT \w+")),
)


def order_state(status: str) -> State:
    """What a `status` says of an order now; what it was before follows after "was:" and does not
    count. Canceled is also what the exchange ended for want of money.

    For display. Whether an order is open says the list it came from: it is closed if and only if it
    came from the history (or as `oc` from the socket), for texts may change.
    """
    for state, pattern in _STATES:
        if pattern.match(status):
            return state
    return "other"


# --- Spelling and checks --------------------------------------------------------------------------
def _spelled(fields: dict[str, Any]) -> dict[str, Any]:
    """What is set, money as plain digits (the exchange wants text and no exponent)."""
    return {name: _spell(value) for name, value in fields.items() if value is not None}


def _spell(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "seconds")
    return value.value if isinstance(value, Flag) else value


def _demand(good: object, field: str, reason: str) -> None:
    if not good:
        raise OrderInvalid(field, reason)


def _demand_symbol(symbol: str) -> None:
    try:
        trading(symbol)
    except (TypeError, ValueError):
        raise OrderInvalid("symbol", "unknown") from None


def _demand_known(flags: Flag) -> None:
    _demand(isinstance(flags, Flag), "flags", "kind")
    _demand(not flags & ~_ALL_FLAGS, "flags", "unknown")


def _demand_whole(value: int, field: str, least: int, most: int = 2**53 - 1) -> int:
    _demand(type(value) is int, field, "kind")
    try:
        return whole(value, field, least, most)
    except ValueError:
        raise OrderInvalid(field, "range") from None


def _demand_amount(value: Decimal, field: str = "amount") -> None:
    _demand(type(value) is Decimal, field, "kind")
    _demand(value.is_finite(), field, "not finite")
    _demand(value.copy_abs() < LARGEST, field, "range")
    exponent = value.as_tuple().exponent
    _demand(isinstance(exponent, int) and exponent >= -DECIMALS, field, "decimals")


def _demand_price(value: Decimal, field: str) -> None:
    _demand_amount(value, field)
    _demand(value > 0, field, "not positive")


def _demand_tif(tif: datetime) -> None:
    _demand(isinstance(tif, datetime), "tif", "kind")
    _demand(tif.utcoffset() == timedelta(0), "tif", "not utc")


def _day(day: date) -> str:
    _demand(type(day) is date, "cid_date", "kind")  # a datetime may belong to another day in UTC
    return day.isoformat()


# --- Answers --------------------------------------------------------------------------------------
_decode_notification = decoder(Notification)
_decode_order = decoder(Order)
_decode_orders = decoder(list[Order])


def _succeeded(body: bytes, kind: str, decode: Callable[[msgspec.Raw], T]) -> T:
    """What a success carries. Raises the error that a refusal means: it may come with HTTP 200.
    A status that is neither leaves the outcome unknown.
    """
    answer = _decode_notification(body)
    if answer.status in _REFUSED:
        raise coded(answer.code or GENERIC_ERROR, answer.text or answer.status)
    _expect(answer.status == "SUCCESS" and answer.type == kind, "another answer")
    return decode(answer.data)


def _one(kind: str, **expected: int) -> Callable[[bytes], Order]:
    """Reads the answer to an update or a cancel, whose row is not nested as that of a submit is."""

    def read(body: bytes) -> Order:
        row = _succeeded(body, kind, _decode_order)
        _expect(all(getattr(row, k) == value for k, value in expected.items()), "another order")
        return row

    return read


def _decode_any_orders(data: msgspec.Raw) -> list[Order]:
    """Null when there was nothing to cancel."""
    return [] if bytes(data) == b"null" else _decode_orders(data)


def _read_cancelled(body: bytes) -> list[Order]:
    return _succeeded(body, "oc_multi-req", _decode_any_orders)


def _expect(good: object, problem: str) -> None:
    if not good:
        raise msgspec.ValidationError(problem)


# --- As the exchange keeps it ---------------------------------------------------------------------
def cut_price(price: Decimal) -> Decimal:
    """Five significant digits and at most eight decimals of a price above 0."""
    places = min(PRICE_DIGITS - 1 - price.adjusted(), DECIMALS)
    unit = Decimal(1).scaleb(-places)
    return price // unit * unit


def cut_order(order: NewOrder) -> NewOrder:
    """The order as it will stand at the exchange."""
    prices = {name: getattr(order, name) for name in _PRICE_FIELDS}
    cut: dict[str, Any] = {name: cut_price(p) for name, p in prices.items() if p is not None}
    return replace(order, **cut)


# --- An order of the exchange's as a new one ------------------------------------------------------
def as_new_order(order: Order) -> NewOrder:
    """What would have to be sent to place the rest of this order, so that a change can be checked
    as a new order is. Raises `OrderInvalid` for an order that cannot be placed from here.
    """
    basic = order.type.removeprefix(SPOT)
    prices = {"price": order.price, "price_trailing": order.price_trailing,
              "price_aux_limit": order.price_aux_limit}  # fmt: skip
    lev = order.meta.get("lev") if isinstance(order.meta, dict) else None
    return NewOrder(
        symbol=order.symbol,
        side=order.side,
        order_type=order.type,
        amount=order.amount.copy_abs(),
        **{name: prices[name] for name in _PRICES.get(basic, ())},
        flags=Flag(order.flags or 0) & _ALL_FLAGS & ~Flag.OCO,
        tif=None if not order.mts_tif else datetime.fromtimestamp(order.mts_tif / 1000, UTC),
        leverage=int(lev) if lev and _DERIVATIVE.fullmatch(order.symbol) else None,
        gid=order.gid,
    )
