"""Numbers and states as people read them. `static/js/format.js` says the same in the browser, and
`tests/js/format_cases.json` holds both to the same answers.

Prices are shown as received: the exchange sends five significant digits, and a digit more or less
would be invented. Only percentages, volumes and sums in USD are rounded, for reading; the exact
number stays in the cell's `data-value`.
"""

import sys
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TypeGuard

from market.bitfinex.messages import Number
from market.quotes import FeedStatus, plain

NOTHING = "–"
MINUS = "−"  # as wide as the plus sign, so that columns stay aligned
_LARGEST = sys.float_info.max  # the browser knows none beyond
_WIDE = Context(prec=700, rounding=ROUND_HALF_UP)  # holds the largest with all its decimals
_TO_CENTS = Decimal("0.01")
_RATE_DIGITS = Decimal("0.00001")
_AGES = ((60, 1, "s"), (3600, 60, "m"), (86_400, 3600, "h"))
_SIZES = ((1_000_000_000, "B"), (1_000_000, "M"), (1000, "K"))


def known(number: Number | None) -> TypeGuard[Number]:
    """Whether there is a number to show: what is too large for a float counts as not sent."""
    return number is not None and abs(number) <= _LARGEST


def value(number: Number | None) -> str:
    """Plain decimal text for `data-value`, "" where the exchange sent nothing."""
    return plain(number) if known(number) else ""


def grouped(text: str) -> str:
    """The same digits with thousands separators."""
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}" if len(whole) > 3 else text


def price(number: Number | None) -> str:
    return grouped(plain(number)).replace("-", MINUS) if known(number) else NOTHING


def sign(number: Number | None) -> str:
    return "" if not number else "+" if number > 0 else MINUS


def signed(number: Number | None) -> str:
    return sign(number) + grouped(plain(abs(number))) if known(number) else NOTHING


def percent(fraction: Number | None) -> str:
    """A fraction as percent with its sign, to two decimals, halves away from zero."""
    if not known(fraction):
        return NOTHING
    return f"{sign(fraction)}{_hundredfold(abs(fraction), _TO_CENTS):,}%"


def rate(daily: Number | None) -> str:
    """A daily funding rate (a fraction) as percent, to five decimals."""
    if not known(daily):
        return NOTHING
    return f"{_hundredfold(daily, _RATE_DIGITS):,}%".replace("-", MINUS)


def signed_rate(daily: Number | None) -> str:
    return sign(daily) + rate(abs(daily)) if known(daily) else NOTHING


def amount(number: Number | None) -> str:
    """A volume: millions short, whole from a thousand up, to cents from one up, below that as
    received.
    """
    if not known(number):
        return NOTHING
    if number < 1:
        return plain(number)
    if number >= 10_000_000:
        return compact(number)
    exact = Decimal(repr(number))
    return f"{exact.quantize(Decimal(1) if number >= 1000 else _TO_CENTS, context=_WIDE):,}"


def compact(number: float | None) -> str:
    """Three significant digits with K, M or B."""
    if not known(number):
        return NOTHING
    for size, letter in _SIZES:
        if number >= size:
            return f"{_three_digits(number / size)}{letter}"
    return _three_digits(number)


def _three_digits(number: float) -> str:
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    return str(Decimal(repr(number)).quantize(Decimal(1).scaleb(-digits), context=_WIDE))


def _hundredfold(number: Number, digits: Decimal) -> Decimal:
    return Decimal(repr(number)).scaleb(2, context=_WIDE).quantize(digits, context=_WIDE)


def age(seconds: int) -> str:
    for limit, unit, letter in _AGES:
        if seconds < limit:
            return f"{max(seconds, 0) // unit}{letter}"
    return f"{seconds // 86_400}d"


def direction(number: Number | None) -> str:
    return "flat" if not number else "up" if number > 0 else "down"


def notice(status: FeedStatus | None, now_ms: int, *, rows: int) -> str:
    """What the banner says of a page with so many rows; "" while everything is live."""
    if status is None or status.state == "connecting":
        made = (
            f", {status.sockets} of {status.wanted} connections" if status and status.wanted else ""
        )
        return f"Connecting to Bitfinex{made}…"
    if status.state == "live":
        return ""
    tail = " The values below are the last known ones." if rows else ""
    reason = status.reason or "prices have stopped"
    if status.retry_at is None:
        return f"{status.state.capitalize()}: {reason}.{tail}"
    wait = max(0, -(-(status.retry_at - now_ms) // 1000))
    return f"{status.state.capitalize()}: {reason}, next try in {wait} s.{tail}"
