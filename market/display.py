"""Numbers and states as people read them. `static/js/format.js` says the same in the browser, and
`tests/js/format_cases.json` holds both to the same answers.

Prices are shown as received: the exchange sends five significant digits, and a digit more or less
would be invented. Only percentages, volumes and sums in USD are rounded, for reading; the exact
number stays in the cell's `data-value`.
"""

from decimal import ROUND_HALF_UP, Decimal

from market.bitfinex.messages import Number
from market.quotes import FeedStatus, plain

NOTHING = "–"
MINUS = "−"  # as wide as the plus sign, so that columns stay aligned
_TO_CENTS = Decimal("0.01")
_RATE_DIGITS = Decimal("0.00001")
_AGES = ((60, 1, "s"), (3600, 60, "m"), (86_400, 3600, "h"))
_SIZES = ((1_000_000_000, "B"), (1_000_000, "M"), (1000, "K"))


def value(number: Number | None) -> str:
    """Plain decimal text for `data-value`, "" where the exchange sent nothing."""
    return "" if number is None else plain(number)


def grouped(text: str) -> str:
    """The same digits with thousands separators."""
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}" if len(whole) > 3 else text


def price(number: Number | None) -> str:
    return NOTHING if number is None else grouped(plain(number)).replace("-", MINUS)


def sign(number: Number | None) -> str:
    return "" if not number else "+" if number > 0 else MINUS


def signed(number: Number | None) -> str:
    return NOTHING if number is None else sign(number) + grouped(plain(abs(number)))


def percent(fraction: Number | None) -> str:
    """A fraction as percent with its sign, to two decimals, halves away from zero."""
    if fraction is None:
        return NOTHING
    hundredfold = Decimal(repr(abs(fraction))).scaleb(2)
    return f"{sign(fraction)}{hundredfold.quantize(_TO_CENTS, ROUND_HALF_UP):,}%"


def rate(daily: Number | None) -> str:
    """A daily funding rate (a fraction) as percent, to five decimals."""
    if daily is None:
        return NOTHING
    text = f"{Decimal(repr(daily)).scaleb(2).quantize(_RATE_DIGITS, ROUND_HALF_UP):,}%"
    return text.replace("-", MINUS)


def signed_rate(daily: Number | None) -> str:
    return NOTHING if daily is None else sign(daily) + rate(abs(daily))


def amount(number: Number | None) -> str:
    """A volume: millions short, whole from a thousand up, to cents from one up, below that as
    received.
    """
    if number is None:
        return NOTHING
    if number < 1:
        return plain(number)
    if number >= 10_000_000:
        return compact(number)
    exact = Decimal(repr(number))
    return f"{exact.quantize(Decimal(1) if number >= 1000 else _TO_CENTS, ROUND_HALF_UP):,}"


def compact(number: float | None) -> str:
    """Three significant digits with K, M or B."""
    if number is None:
        return NOTHING
    for size, letter in _SIZES:
        if number >= size:
            return f"{_three_digits(number / size)}{letter}"
    return _three_digits(number)


def _three_digits(number: float) -> str:
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    return str(Decimal(repr(number)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def age(seconds: int) -> str:
    for limit, unit, letter in _AGES:
        if seconds < limit:
            return f"{max(seconds, 0) // unit}{letter}"
    return f"{seconds // 86_400}d"


def direction(number: Number | None) -> str:
    return "flat" if not number else "up" if number > 0 else "down"


def notice(status: FeedStatus | None, now_ms: int) -> str:
    """What the banner says; "" while everything is live."""
    if status is None or status.state == "connecting":
        made = (
            f", {status.sockets} of {status.wanted} connections" if status and status.wanted else ""
        )
        return f"Connecting to Bitfinex{made}…"
    if status.state == "live":
        return ""
    tail = "The values below are the last known ones."
    reason = status.reason or "prices have stopped"
    if status.retry_at is None:
        return f"{status.state.capitalize()}: {reason}. {tail}"
    wait = max(0, -(-(status.retry_at - now_ms) // 1000))
    return f"{status.state.capitalize()}: {reason}, next try in {wait} s. {tail}"
