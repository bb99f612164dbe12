"""REST calls of an account, as values (see `market.bitfinex.rest`). All are POST with a JSON body,
reads too, and must be signed.

Money is read from the digits of the answer into `Decimal`, never by way of a float. Layouts are
those of the Bitfinex docs (rest-auth-…) and of recorded answers; a row that does not fit raises a
decoding error, and then the whole answer counts as unreadable: part of an account is not told.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeVar

import msgspec

from market.bitfinex.rest import Request
from market.bitfinex.symbols import is_funding, is_symbol

T = TypeVar("T")

MAX_ROWS = 2500
"""Rows of a history that one call may ask for (Bitfinex docs, rest-auth-trades, -ledgers)."""

FIRST_ROWS = 250
LARGEST_POWER, SMALLEST_POWER = 308, -400
"""Powers of ten between which the digits of an answer lie: no 64-bit float has others, and only
such numbers can be written out without an exponent in a few characters."""

_CURRENCY = re.compile(r"[A-Z0-9]{2,20}")
_encode = msgspec.json.Encoder().encode


class Row(msgspec.Struct, array_like=True, frozen=True):
    """A wire array in which every number is finite. JSON knows no NaN, but its strings do."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and not _is_plain(value):
                raise ValueError(f"{name} is no number that can be written out")


class Order(Row, frozen=True):
    """An order, as reads, histories and answers to writes have it (32 fields, 26 in old ones).

    `amount` is what is left of `amount_orig`, both below 0 for a sale; `status` is read by
    `market.bitfinex.orders.order_state`, `price_avg` is what was paid. A stop limit is triggered
    at `price` and then bids at `price_aux_limit`. History may send `gid` and `flags` as text.
    """

    id: int
    gid: int | None
    cid: int | None
    symbol: str
    mts_create: int
    mts_update: int
    amount: Decimal
    amount_orig: Decimal
    type: str
    type_prev: Any
    mts_tif: int | None
    _unused_11: Any
    flags: int | None
    status: str
    _unused_14: Any
    _unused_15: Any
    price: Decimal | None
    price_avg: Decimal | None
    price_trailing: Decimal | None = None
    price_aux_limit: Decimal | None = None
    _unused_20: Any = None
    _unused_21: Any = None
    _unused_22: Any = None
    notify: Any = None
    hidden: Any = None
    placed_id: Any = None
    _unused_26: Any = None
    _unused_27: Any = None
    routing: Any = None
    _unused_29: Any = None
    _unused_30: Any = None
    meta: Any = None

    @property
    def side(self) -> Literal["buy", "sell"]:
        return "buy" if self.amount_orig > 0 else "sell"

    @property
    def filled(self) -> Decimal:
        """How much of it was traded, below 0 for a sale."""
        return self.amount_orig - self.amount


class Wallet(Row, frozen=True):
    """`available` is null in the first frame of a socket, and there only."""

    type: str  # exchange, margin or funding
    currency: str
    balance: Decimal
    unsettled_interest: Decimal | None
    available: Decimal | None
    last_change: str | None = None
    meta: Any = None


class OwnTrade(Row, frozen=True):
    """A fill of one of the account's orders. `amount` and `fee` are below 0 for what is given away;
    `maker` is 1 or -1 (0 in documentation samples). The trades of one order have no order type.
    """

    id: int
    symbol: str
    mts: int
    order_id: int
    amount: Decimal
    price: Decimal
    order_type: str | None
    order_price: Decimal | None
    maker: int | None
    fee: Decimal | None = None
    fee_currency: str | None = None
    cid: int | None = None


class Position(Row, frozen=True):
    """`amount` is below 0 for a short one; `pl` is profit or loss, `liquidation_price` where the
    exchange ends it; `funding_type` 0 is daily, 1 for a term; `type` 0 is margin, 1 a derivative.
    """

    symbol: str
    status: str  # ACTIVE or CLOSED
    amount: Decimal
    base_price: Decimal
    funding: Decimal | None
    funding_type: int | None
    pl: Decimal | None = None
    pl_percent: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    _unused_10: Any = None
    id: int | None = None
    mts_create: int | None = None
    mts_update: int | None = None
    _unused_14: Any = None
    type: int | None = None
    _unused_16: Any = None
    collateral: Decimal | None = None
    collateral_min: Decimal | None = None
    meta: Any = None  # an object, or JSON as text


class LedgerEntry(Row, frozen=True):
    """One change of one wallet, which some name only in `description` ("… on wallet margin")."""

    id: int
    currency: str
    wallet: str | None
    mts: int
    _unused_4: Any
    amount: Decimal
    balance: Decimal
    _unused_7: Any
    description: str | None


class UserInfo(Row, frozen=True):
    """Whose key this is. `verified` and `email_verified` are 0 or 1; `mts` is when he came."""

    id: int
    email: str
    username: str
    mts: int
    verified: int
    level: int | None
    _unused_6: Any
    timezone: str | None
    locale: str | None
    company: str | None
    email_verified: int | None


class MarginBase(Row, frozen=True):
    """What all margin positions of an account rest on, in USD; `minimum` is the net value below
    which the exchange begins to end positions.
    """

    profit_loss: Decimal
    swaps: Decimal
    balance: Decimal
    net: Decimal
    minimum: Decimal | None = None


class MarginSymbol(Row, frozen=True):
    """What may still be traded in one pair on margin."""

    tradable: Decimal
    gross: Decimal
    buy: Decimal | None = None
    sell: Decimal | None = None


class Permission(msgspec.Struct, array_like=True, frozen=True):
    """`[SCOPE, READ, WRITE]`, the flags 0 or 1 (Bitfinex docs, rest-auth-key-permissions)."""

    scope: str
    read: int
    write: int


class Notification(msgspec.Struct, array_like=True, frozen=True):
    """`[MTS, TYPE, MESSAGE_ID, null, DATA, CODE, STATUS, TEXT]`, the answer to every write. MTS is
    in ms or in s, depending on TYPE (recorded 2024), and may be null.
    """

    mts: int | float | None
    type: str
    message_id: Any
    _unused_3: Any
    data: msgspec.Raw
    code: int | None
    status: str
    text: str | None = None


class _BaseAnswer(msgspec.Struct, array_like=True, frozen=True):
    kind: Literal["base"]
    margin: MarginBase


class _SymbolAnswer(msgspec.Struct, array_like=True, frozen=True):
    kind: Literal["sym"]
    symbol: str
    margin: MarginSymbol


def decoder(kind: type[T]) -> Callable[[bytes | msgspec.Raw], T]:
    """Reads whole numbers that come as text, and numbers of a `meta` as `Decimal`."""
    return msgspec.json.Decoder(kind, strict=False, float_hook=Decimal).decode


_read_orders = decoder(list[Order])
_read_trades = decoder(list[OwnTrade])


# --- Reads ----------------------------------------------------------------------------------------
def wallets() -> Request[list[Wallet]]:
    """Every wallet that ever held something."""
    return post("auth/r/wallets", decoder(list[Wallet]))


def open_orders(symbol: str = "") -> Request[list[Order]]:
    """Orders that may still trade: of one pair, or all."""
    return post(_below("auth/r/orders", symbol), _read_orders, "auth/r/orders")


def orders_hist(
    symbol: str = "",
    *,
    ids: Sequence[int] = (),
    start: int | None = None,
    end: int | None = None,
    limit: int = FIRST_ROWS,
) -> Request[list[Order]]:
    """Orders that have ended, newest first; `start` and `end` in ms since epoch."""
    wanted = {"id": [whole(number, "order id", 1) for number in ids]} if ids else {}
    path = _below("auth/r/orders", symbol, "/hist")
    return post(path, _read_orders, "auth/r/orders", **wanted, **_span(start, end, limit))


def order_trades(symbol: str, order_id: int) -> Request[list[OwnTrade]]:
    """What one order traded."""
    number = whole(order_id, "order id", 1)
    path = f"auth/r/order/{trading(symbol)}:{number}/trades"
    return post(path, _read_trades, "auth/r/order")


def trades_hist(
    symbol: str = "",
    *,
    start: int | None = None,
    end: int | None = None,
    limit: int = FIRST_ROWS,
) -> Request[list[OwnTrade]]:
    """The account's own trades, newest first; `start` and `end` in ms since epoch."""
    path = _below("auth/r/trades", symbol, "/hist")
    return post(path, _read_trades, "auth/r/trades", **_span(start, end, limit))


def positions() -> Request[list[Position]]:
    """Open positions, of margin and of derivatives."""
    return post("auth/r/positions", decoder(list[Position]))


def margin_base() -> Request[MarginBase]:
    decode = decoder(_BaseAnswer)
    path = "auth/r/info/margin/base"
    return post(path, lambda body: decode(body).margin, "auth/r/info/margin")


def margin_symbol(symbol: str) -> Request[MarginSymbol]:
    decode = decoder(_SymbolAnswer)
    path = f"auth/r/info/margin/{trading(symbol)}"
    return post(path, lambda body: decode(body).margin, "auth/r/info/margin")


def user_info() -> Request[UserInfo]:
    return post("auth/r/info/user", decoder(UserInfo))


def permissions() -> Request[list[Permission]]:
    """What the key may do."""
    return post("auth/r/permissions", msgspec.json.Decoder(list[Permission]).decode)


def ledgers(
    currency: str = "",
    *,
    category: int | None = None,
    start: int | None = None,
    end: int | None = None,
    limit: int = FIRST_ROWS,
) -> Request[list[LedgerEntry]]:
    """Changes of the wallets, newest first, six years back. `category` is one of the numbers of
    the docs (28 margin funding, 51 transfer, 201 trading fee, …).
    """
    if currency and not _CURRENCY.fullmatch(currency):
        raise ValueError(f"currency: {currency!r}")
    wanted = {} if category is None else {"category": whole(category, "category", 1)}
    path = f"auth/r/ledgers/{currency}/hist" if currency else "auth/r/ledgers/hist"
    fields = wanted | _span(start, end, limit)
    return post(path, decoder(list[LedgerEntry]), "auth/r/ledgers", **fields)


# --- What all account calls are made of -----------------------------------------------------------
def post(path: str, read: Callable[[bytes], T], scope: str = "", **fields: Any) -> Request[T]:
    """A call with these fields as its body, in this order."""
    body = _encode(fields).decode()
    return Request(path, scope or path, read, method="POST", host="auth", body=body)


def trading(symbol: str) -> str:
    """The symbol of a pair, not of a funding currency. Raises ValueError for anything else."""
    if not is_symbol(symbol) or is_funding(symbol):
        raise ValueError(f"symbol: {symbol!r}")
    return symbol


def whole(value: int, name: str, least: int, most: int = 2**53 - 1) -> int:
    """A whole number within bounds, up to what JSON readers keep exact. Raises ValueError."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name}: {value!r}")
    return value


def _below(path: str, symbol: str, end: str = "") -> str:
    return f"{path}/{trading(symbol)}{end}" if symbol else f"{path}{end}"


def _span(start: int | None, end: int | None, limit: int) -> dict[str, int]:
    wanted = {"start": start, "end": end}
    times = {k: whole(value, k, 0) for k, value in wanted.items() if value is not None}
    return times | {"limit": whole(limit, "limit", 1, MAX_ROWS)}


def _is_plain(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return (
        isinstance(exponent, int)
        and exponent >= SMALLEST_POWER
        and value.adjusted() <= LARGEST_POWER
    )
