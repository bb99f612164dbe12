"""Why something about orders was not done, in words for the person who asked, with what to do."""

from decimal import Decimal
from typing import Any, NamedTuple

from django.urls import reverse

from accounts.errors import (
    KeyHalted,
    KeyNotArmed,
    KeyUnusable,
    PermissionMissing,
)
from accounts.policy import plain
from market.background import Full
from market.bitfinex.orders import OrderInvalid
from market.invalid_words import invalid_words
from market.order_errors import OrderRefused, PreviewGone
from market.order_words import why


class Refusal(NamedTuple):
    """`url` and `link` lead to where something can be done about it."""

    text: str
    url: str = ""
    link: str = ""


RULES = {
    "symbol": "The policy of this key does not allow {symbol}.",
    "largest_order": "Too large: worth {value} USD, and the policy of this key allows {limit} USD "
    "an order.",
    "day_total": "Too much for today: the policy of this key has {left} of {limit} USD left until "
    "midnight UTC.",
    "orders_a_minute": "Too fast: the policy of this key allows {limit} orders a minute.",
    "price_band": "This price is {away} % beyond the last one ({last}), and the policy of this key "
    "allows {limit} %.",
    "no_price": "No price of {symbol} is known, so nobody can say what the order is worth. Wait "
    "until its ticker is there.",
    "no_rate": "The rate of {currency} in USD is not known, so nobody can say what the order is "
    "worth against the policy of this key.",
}
BY_POLICY = {"symbol", "largest_order", "day_total", "orders_a_minute", "price_band"}
PERCENT = {"away", "limit"}
TO_CENTS = Decimal("0.01")


def refusal(error: Exception) -> Refusal:
    """For whatever `market.orders` raises, and for a full server."""
    match error:
        case OrderRefused():
            return _by_rule(error)
        case OrderInvalid():
            return Refusal(invalid_words(error.field, error.reason))
        case PreviewGone():
            return Refusal("The review is older than a minute: prices have moved on.")
        case Full():
            return Refusal("Not sent: this server is busy. Try again in a moment.")
        case KeyUnusable():
            return Refusal(why(error), *_about_key(error))
    return Refusal(why(error))


def _by_rule(error: OrderRefused) -> Refusal:
    shown = {name: _shown(error.reason, name, fact) for name, fact in error.facts.items()}
    return Refusal(RULES[error.reason].format(**shown))


def _shown(reason: str, name: str, fact: Any) -> str:
    if not isinstance(fact, Decimal):
        return str(fact)
    if reason == "price_band" and name in PERCENT:
        fact *= 100
    elif reason == "price_band":
        return plain(fact)
    return f"{fact.quantize(TO_CENTS).normalize():,f}"


def _about_key(error: KeyUnusable) -> tuple[str, str]:
    match error:
        case KeyNotArmed():
            return reverse("accounts:arm_key", args=[error.key]), "Arm it for 12 hours"
        case KeyHalted():
            return reverse("accounts:halt"), "Look at the halt"
        case PermissionMissing():
            return reverse("accounts:guide"), "How to make a key that may"
    return reverse("accounts:key", args=[error.key]), "Look at the key"
