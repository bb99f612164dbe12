from datetime import UTC, datetime
from decimal import Decimal

import pytest

from market.bitfinex.account import Order
from market.bitfinex.orders import Flag, NewOrder
from market.models import OrderIntent, OrderState
from market.views.order_shown import OUTCOMES, OpenOrder, flag_words, number, order_lines, outcome


def order(**changes):
    fields = {
        "id": 7, "gid": None, "cid": 8, "symbol": "tBTCUSD", "mts_create": 1_700_000_000_000,
        "mts_update": 1_700_000_000_000, "amount": Decimal("-0.5"), "amount_orig": Decimal("-2"),
        "type": "EXCHANGE LIMIT", "type_prev": None, "mts_tif": None, "_unused_11": None,
        "flags": 64, "status": "PARTIALLY FILLED @ 1.0(-1.5)", "_unused_14": None,
        "_unused_15": None, "price": Decimal("20000.0"), "price_avg": Decimal(0),
    }  # fmt: skip
    return Order(**{**fields, **changes})


def test_every_digit_is_shown():
    assert number(Decimal("1234567.123456780")) == "1,234,567.12345678"
    assert number(Decimal("0.00000001")) == "0.00000001"
    assert number(None) == "–"


def test_everything_that_is_sent_has_its_line():
    full = NewOrder(
        "tBTCF0:USTF0", "sell", "LIMIT", Decimal("0.5"), Decimal(20_000),
        price_oco_stop=Decimal(19_000), flags=Flag.OCO | Flag.HIDDEN, leverage=10,
        tif=datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
    )  # fmt: skip
    lines = dict(order_lines(full))
    assert lines["Side"] == "sell"
    assert lines["Price"].startswith("20,000 ")
    assert lines["Stop of the other"].startswith("19,000 ")
    assert lines["Options"] == "hidden, one cancels the other"
    assert lines["Leverage"] == "10"
    assert lines["Good until"] == "2030-01-02 03:04:00 UTC"


def test_an_open_order_shows_what_is_left_of_it():
    shown = OpenOrder(order(), None, None)
    assert (shown.amount, shown.original, shown.filled) == ("0.5", "2", "1.5")
    assert (shown.price, shown.options, shown.state) == ("20,000", "hidden", "partially-filled")
    assert shown.created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert OpenOrder(order(price=Decimal(0)), None, None).price == "market"


def test_flags_have_words():
    assert all(flag_words(flag) != "–" for flag in Flag)
    assert flag_words(0) == "–"


@pytest.mark.parametrize("state", OrderState)
def test_every_state_has_an_outcome(state):
    found = outcome(OrderIntent(state=state, reason="", status="ACTIVE"))
    assert found.title == OUTCOMES[state].title
