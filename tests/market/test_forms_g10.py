"""G10: a malformed number never gets past a form, and a good one stays exactly what it was."""

import re
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from hypothesis import example, given
from hypothesis import strategies as st

from market.bitfinex.orders import NewOrder, submit
from market.forms import AmountField, PriceField

FORM = re.compile(r"[0-9]{1,12}(\.[0-9]{1,18})?")
ODD = [
    "NaN", "Infinity", "-Infinity", "1e309", "1e5", "-1", "+1", "1_000", "１２", "٣", "0e999999999",
    "1" * 60, "0x10", "1,5", "1.", ".5", "1 000", "0", "0.000", "--1", "1.2.3", "¹", "\x001",
]  # fmt: skip
typed = st.one_of(
    st.text(),
    st.text(alphabet="0123456789.eE+-_, １٣", max_size=20),
    st.from_regex(FORM, fullmatch=True),
    st.sampled_from(ODD),
)
prices = st.builds(
    lambda digits, shift: Decimal(digits).scaleb(shift), st.integers(1, 99_999), st.integers(-8, 6)
)


def number_of(field, text):
    try:
        return field.clean(text)
    except ValidationError:
        return None


@given(typed)
@example("1" * 12 + "." + "1" * 18)
@example("123450000000.000000000000000001")
def test_g10_an_amount_is_taken_exactly_or_not_at_all(text):
    found = number_of(AmountField(), text)
    good = FORM.fullmatch(text.strip())
    if found is None:
        assert not good or Decimal(text) == 0 or Decimal(text) % Decimal("1e-8")
        return
    assert good
    assert found == Decimal(text.strip()) > 0
    assert found.as_tuple().exponent >= -8


@given(typed)
@example("123450000000.000000000000000001")
def test_g10_a_price_is_taken_exactly_or_not_at_all(text):
    found = number_of(PriceField(), text)
    if found is None:
        return
    assert FORM.fullmatch(text.strip())
    assert found == Decimal(text.strip()) > 0
    assert len("".join(map(str, found.as_tuple().digits)).strip("0")) <= 5
    assert found.as_tuple().exponent >= -8


@given(prices)
def test_g10_every_price_of_five_digits_is_taken(price):
    assert number_of(PriceField(), format(price, "f")) == price


@given(prices, st.decimals("0.00000001", "100000", places=8))
def test_g10_what_was_typed_is_what_is_sent(price, amount):
    texts = format(amount, "f"), format(price, "f")
    order = NewOrder(
        "tBTCUSD", "sell", "LIMIT", AmountField().clean(texts[0]), PriceField().clean(texts[1])
    )
    body = submit(order, 1).body
    sent = dict(re.findall(r'"(amount|price)":"([^"]*)"', body))
    assert Decimal(sent["amount"]) == -amount
    assert Decimal(sent["price"]) == price
    assert not re.search(r"[eE+]", sent["amount"] + sent["price"])


@pytest.mark.parametrize("text", ODD)
def test_g10_odd_numbers_are_refused(text):
    assert number_of(AmountField(), text) is None
    assert number_of(PriceField(), text) is None
