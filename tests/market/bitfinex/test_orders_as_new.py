"""An order of the exchange's, as the new one that its change is checked as."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from market.bitfinex.orders import Flag, NewOrder, OrderInvalid, as_new_order
from tests.market.scripted import order_row

FIVE = Decimal(5)


@pytest.mark.parametrize(
    ("sent", "new"),
    [
        ({"price": FIVE}, {"price": FIVE}),
        ({"type": "EXCHANGE MARKET", "price": FIVE}, {"order_type": "EXCHANGE MARKET"}),
        (
            {"type": "STOP LIMIT", "price": FIVE, "price_aux_limit": Decimal(6)},
            {"order_type": "STOP LIMIT", "price": FIVE, "price_aux_limit": Decimal(6)},
        ),
        (
            {"type": "EXCHANGE TRAILING STOP", "price": FIVE, "price_trailing": Decimal(2)},
            {"order_type": "EXCHANGE TRAILING STOP", "price_trailing": Decimal(2)},
        ),
        ({"price": FIVE, "flags": 16384 | 64}, {"price": FIVE, "flags": Flag.HIDDEN}),
        ({"price": FIVE, "flags": None, "gid": 3}, {"price": FIVE, "gid": 3}),
        (
            {"price": FIVE, "mts_tif": 1_800_000_000_000},
            {"price": FIVE, "tif": datetime(2027, 1, 15, 8, 0, tzinfo=UTC)},
        ),
        (
            {"price": FIVE, "symbol": "tBTCF0:USTF0", "type": "LIMIT", "meta": {"lev": 10}},
            {"price": FIVE, "symbol": "tBTCF0:USTF0", "order_type": "LIMIT", "leverage": 10},
        ),
        ({"price": FIVE, "meta": {"lev": 10}}, {"price": FIVE}),
        ({"price": FIVE, "meta": "text"}, {"price": FIVE}),
    ],
)
def test_only_the_fields_of_its_type_are_taken(sent: dict[str, Any], new: dict[str, Any]):
    amount = {"amount": Decimal("-0.3"), "amount_orig": Decimal(-1)}
    usual = {"symbol": "tBTCUSD", "side": "sell", "order_type": "EXCHANGE LIMIT"}
    wanted: dict[str, Any] = {**usual, "amount": Decimal("0.3"), **new}
    assert as_new_order(order_row(**amount, **sent)) == NewOrder(**wanted)


def test_an_unknown_type_cannot_be_placed_from_here():
    with pytest.raises(OrderInvalid):
        as_new_order(order_row(type="SCALED"))
