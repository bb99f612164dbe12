from decimal import Decimal

import pytest

from accounts.policy import KeyPolicy


def test_a_policy_reads_back_as_it_was_written():
    policy = KeyPolicy(("tBTCUSD", "fUSD"), Decimal("0.5"), Decimal("1E+3"), Decimal("0.05"), 3)
    assert KeyPolicy.parse(policy.text) == KeyPolicy(
        ("fUSD", "tBTCUSD"), Decimal("0.5"), Decimal(1000), Decimal("0.05"), 3
    )


def test_equal_limits_have_one_spelling():
    one = KeyPolicy(("tBTCUSD", "tETHUSD"), largest_order=Decimal("100.00"))
    other = KeyPolicy(("tETHUSD", "tBTCUSD", "tETHUSD"), largest_order=Decimal("1E+2"))
    assert one.text == other.text
    assert '"largest_order":"100"' in one.text


@pytest.mark.parametrize(
    "limits",
    [
        {"symbols": ("btcusd",)},
        {"symbols": ("tBTCUSD/../x",)},
        {"largest_order": Decimal(0)},
        {"day_total": Decimal("NaN")},
        {"price_band": Decimal("-0.1")},
        {"day_total": Decimal("Infinity")},
        {"orders_a_minute": 0},
    ],
)
def test_a_limit_that_is_no_limit_is_refused(limits):
    with pytest.raises(ValueError, match=next(iter(limits))[:6]):
        KeyPolicy(**limits)
