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


def test_a_new_key_may_order_as_fast_as_the_exchange_allows():
    policy = KeyPolicy.parse(KeyPolicy().text)
    assert policy == KeyPolicy((), Decimal(50_000), Decimal(1_000_000), Decimal("0.2"), None)
    assert '"orders_a_minute":null' in policy.text


@pytest.mark.parametrize(
    ("text", "orders_a_minute"),
    [
        ('{"day_total":"5000","largest_order":"1000","orders_a_minute":10,"price_band":"0.2",'
         '"symbols":[]}', 10),
        ('{"day_total":"5000","largest_order":"1000","price_band":"0.2","symbols":[]}', None),
    ],
)  # fmt: skip
def test_a_stored_policy_keeps_its_limits(text, orders_a_minute):
    expected = KeyPolicy((), Decimal(1000), Decimal(5000), Decimal("0.2"), orders_a_minute)
    assert KeyPolicy.parse(text) == expected


def test_the_longest_symbol_of_the_exchange_can_be_allowed():
    assert KeyPolicy(("tAUSTRALIA200IXF0:USTF0",)).symbols == ("tAUSTRALIA200IXF0:USTF0",)


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
