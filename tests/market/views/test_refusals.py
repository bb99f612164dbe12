from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import pytest

from accounts.errors import (
    KeyBusy,
    KeyHalted,
    KeyNotArmed,
    KeyRevoked,
    NotAllowed,
    PermissionMissing,
)
from market.background import Full
from market.bitfinex.errors import NoSlot, Rejected, Unreachable
from market.bitfinex.orders import OrderInvalid
from market.order_errors import OrderRefused, PreviewGone, Reason
from market.views.refusals import RULES, refusal

KEY = UUID(int=7)
FACTS: dict[str, Any] = {
    "symbol": "tBTCUSD", "limit": Decimal("0.2"), "value": Decimal(1), "left": Decimal(5),
    "away": Decimal("0.31415"), "last": Decimal("0.00001234"), "currency": "XYZ",
}  # fmt: skip


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_rule_has_words(reason):
    assert reason in RULES
    text = refusal(OrderRefused(reason, **FACTS)).text
    assert "{" not in text
    assert text.endswith(".")


def test_a_price_band_is_in_percent_and_its_price_exact():
    text = refusal(OrderRefused("price_band", **FACTS)).text
    assert "31.42 % beyond the last one (0.00001234)" in text
    assert "allows 20 %" in text


@pytest.mark.parametrize(
    ("error", "words", "where"),
    [
        (KeyNotArmed(KEY), "is not armed", "/arm/"),
        (KeyHalted(KEY, 1), "is halted for orders", "/keys/halt/"),
        (KeyRevoked(KEY), "is revoked", f"/keys/{KEY}/"),
        (PermissionMissing(KEY, "orders", "write"), "may not write orders", "/keys/guide/"),
        (KeyBusy(KEY, 1), "busy", ""),
        (NotAllowed("x"), "Not sent", ""),
        (NoSlot("x", 12.0), "Free again in 12 s", ""),
        (Unreachable("x"), "cannot be reached", ""),
        (Rejected(10001, "<b>no</b>"), "Bitfinex refused it: <b>no</b>", ""),
        (OrderInvalid("price", "missing"), "needs a price", ""),
        (PreviewGone(), "prices have moved on", ""),
        (Full(), "this server is busy", ""),
    ],
)
def test_every_error_says_what_happened_and_where_to_go(error, words, where):
    found = refusal(error)
    assert words in found.text
    assert where in found.url
    assert bool(found.url) == bool(found.link) == bool(where)
