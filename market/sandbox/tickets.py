"""What a customer asks for: the bodies of submit and update, read as strictly as the exchange does.

Errors are those of recorded replies (`amount: invalid`, `price: invalid`, …, code 10001); the facts
about precision those of docs.bitfinex.com ("Introduction": prices have five significant digits and
at most eight decimals, amounts at most eight; what is longer is cut).
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from market.sandbox.orders import CLOSE, FLAGS, KINDS, OCO, POST_ONLY, STOPS, ZERO
from market.sandbox.wire import Denied

MAX_CID = (1 << 45) - 1
MAX_GID = (1 << 31) - 1
_SMALLEST = Decimal("1e-8")
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,30})?")
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Ticket:
    """A new order as asked for. `oco` is the stop price of its other half."""

    symbol: str
    kind: str
    amount: Decimal
    price: Decimal
    trailing: Decimal = ZERO
    aux: Decimal = ZERO
    oco: Decimal = ZERO
    gid: int | None = None
    cid: int | None = None
    flags: int = 0
    tif: int | None = None
    lev: int | None = None
    meta: dict[str, Any] = field(default_factory=dict)


def read_ticket(body: dict[str, Any], now: float) -> Ticket:
    """The body of a submit. Raises Denied."""
    kind = body.get("type")
    if kind not in KINDS:
        raise Denied(10001, "type: invalid")
    basic = kind.removeprefix("EXCHANGE ")
    flags = whole(body, "flags", FLAGS) or 0
    amount = money(body, "amount").quantize(_SMALLEST, ROUND_DOWN)
    if not amount and not flags & CLOSE:
        raise Denied(10001, "amount: invalid")
    _check_flags(flags, basic)
    return Ticket(
        symbol=str(body.get("symbol", "")),
        kind=kind,
        amount=amount,
        price=ZERO if basic in ("MARKET", "TRAILING STOP") else price(body, "price"),
        trailing=price(body, "price_trailing") if basic == "TRAILING STOP" else ZERO,
        aux=price(body, "price_aux_limit") if basic == "STOP LIMIT" else ZERO,
        oco=price(body, "price_oco_stop") if flags & OCO else ZERO,
        gid=whole(body, "gid", MAX_GID),
        cid=whole(body, "cid", MAX_CID),
        flags=flags,
        tif=read_tif(body, now),
        lev=whole(body, "lev", 100, least=1),
        meta=_meta(body),
    )


@dataclass(frozen=True)
class Change:
    """What an update asks for; None leaves a field as it is."""

    amount: Decimal | None
    delta: Decimal | None
    price: Decimal | None
    trailing: Decimal | None
    aux: Decimal | None
    gid: int | None
    flags: int | None
    tif: int | None
    lev: int | None
    meta: dict[str, Any] | None


def read_change(body: dict[str, Any], now: float) -> Change:
    """The body of an update. Raises Denied."""

    def given(name: str) -> bool:
        return body.get(name) is not None

    return Change(
        amount=money(body, "amount").quantize(_SMALLEST, ROUND_DOWN) if given("amount") else None,
        delta=money(body, "delta").quantize(_SMALLEST, ROUND_DOWN) if given("delta") else None,
        price=price(body, "price") if given("price") else None,
        trailing=price(body, "price_trailing") if given("price_trailing") else None,
        aux=price(body, "price_aux_limit") if given("price_aux_limit") else None,
        gid=whole(body, "gid", MAX_GID),
        flags=whole(body, "flags", FLAGS),
        tif=read_tif(body, now),
        lev=whole(body, "lev", 100, least=1),
        meta=_meta(body) if given("meta") else None,
    )


def money(body: dict[str, Any], name: str) -> Decimal:
    """A number, as decimal text or as JSON writes it. No exponent, no NaN."""
    value = body.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = format(Decimal(repr(value)), "f")
    if not isinstance(value, str) or not value.isascii() or not _NUMBER.fullmatch(value):
        raise Denied(10001, f"{name}: invalid")
    return Decimal(value)


def price(body: dict[str, Any], name: str) -> Decimal:
    """A price above 0, cut to five digits."""
    value = cut(money(body, name))
    if value <= 0:
        raise Denied(10001, f"{name}: invalid")
    return value


def cut(value: Decimal) -> Decimal:
    """Five significant digits, at most eight decimals."""
    if not value:
        return ZERO
    unit = max(Decimal(1).scaleb(value.adjusted() - 4), _SMALLEST)
    return value.quantize(unit, ROUND_DOWN) if unit <= 1 else value // unit * unit


def whole(body: dict[str, Any], name: str, most: int, *, least: int = 0) -> int | None:
    """A whole number within bounds, None when it is left out."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Denied(10001, f"{name}: invalid")
    return value


def read_tif(body: dict[str, Any], now: float) -> int | None:
    """`"2020-01-01 10:45:23"` or `"2020-01-01"`, UTC, in the future → ms."""
    text = body.get("tif")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise Denied(10001, "tif: invalid") from None
    mts = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    if mts <= now * 1000:
        raise Denied(10001, "tif: invalid")
    return mts


def day_of(value: object) -> int:
    """`cid_date` (`YYYY-MM-DD`, UTC) → the ms at which that day begins. Raises Denied."""
    try:
        moment = datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Denied(10001, "cid_date: invalid") from None
    return int(moment.timestamp() * 1000)


def within_day(mts: int, day: int) -> bool:
    return day <= mts < day + _DAY_MS


def _check_flags(flags: int, basic: str) -> None:
    """A flag is one of the known ones, and fits the type. Raises Denied."""
    misplaced = (flags & (POST_ONLY | OCO) and basic != "LIMIT") or (
        flags & CLOSE and basic in STOPS
    )
    if flags & ~FLAGS or misplaced:
        raise Denied(10001, "flags: invalid")


def _meta(body: dict[str, Any]) -> dict[str, Any]:
    meta = body.get("meta")
    if meta is None:
        return {}
    if not isinstance(meta, dict):
        raise Denied(10001, "meta: invalid")
    return meta
