from decimal import Decimal

import pytest

from accounts.forms import AccountForm, HaltForm, KeyForm, PolicyForm
from accounts.models import HaltLevel
from accounts.policy import KeyPolicy
from tests.accounts.sessions import key_fields

LIMITS = {
    "symbols": "tBTCUSD, tETHUSD",
    "largest_order": "250.5",
    "day_total": "1000",
    "price_band": "5",
    "orders_a_minute": "3",
}


def test_a_policy_is_read_as_it_is_shown():
    policy = KeyPolicy(("tBTCUSD", "fUSD"), Decimal("12.5"), Decimal(90), Decimal("0.035"), 7)
    form = PolicyForm(PolicyForm.showing(policy).initial)
    assert form.is_valid(), form.errors
    assert form.policy == policy


def test_a_policy_is_what_was_typed():
    form = PolicyForm(LIMITS)
    assert form.is_valid()
    assert form.policy == KeyPolicy(
        ("tBTCUSD", "tETHUSD"), Decimal("250.5"), Decimal(1000), Decimal("0.05"), 3
    )


def test_a_policy_without_a_pace_leaves_it_to_the_exchange():
    form = PolicyForm({**LIMITS, "orders_a_minute": ""})
    assert form.is_valid(), form.errors
    assert form.policy.orders_a_minute is None
    assert set(PolicyForm({**LIMITS, "orders_a_minute": "0"}).errors) == {"orders_a_minute"}
    again = PolicyForm(PolicyForm.showing(form.policy).initial)
    assert again.is_valid()
    assert again.policy == form.policy


@pytest.mark.parametrize(
    "number",
    ["1_000", "１２３", "٣", "-0", "+5", "1e5", "0e999999999", "NaN", "Infinity", "1e309", "-1",
     "0", "", "1,5", "0x10", "1" * 13, "1." + "1" * 19, ".5", "5.", " "],
)  # fmt: skip
def test_only_plain_numbers_above_nothing_are_limits(number):
    """D1."""
    assert "largest_order" in PolicyForm({**LIMITS, "largest_order": number}).errors


@pytest.mark.parametrize("symbols", ["BTCUSD", "tBTCUSD/../auth", "t<script>", "tBTCUSD\x00"])
def test_only_symbols_are_allowed(symbols):
    assert "symbols" in PolicyForm({**LIMITS, "symbols": symbols}).errors


def test_secrets_are_never_put_back_into_the_page():
    page = str(KeyForm(key_fields(api_key="CANARYK" * 5, api_secret="CANARYS" * 5, label="")))
    assert "CANARY" not in page


def test_a_key_needs_the_terms_acknowledged():
    assert set(KeyForm(key_fields(terms="")).errors) == {"terms"}


def test_a_halt_names_its_level_and_its_reason():
    form = HaltForm({"level": "2", "reason": "a leak"})
    assert form.is_valid()
    assert form.cleaned_data == {"level": HaltLevel.SIGNING, "reason": "a leak"}
    assert set(HaltForm({"level": "7", "reason": ""}).errors) == {"level", "reason"}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"password2": "something else here"}, "password2"),
        ({"password1": "short", "password2": "short"}, "password1"),
        ({"password1": "dora-dora-dora", "password2": "dora-dora-dora"}, "password1"),
        ({"username": "al"}, "username"),
        ({"username": "Alice"}, "username"),
        ({"username": "two words"}, "username"),
        ({"email": "nowhere"}, "email"),
    ],
)
def test_an_account_is_refused_in_the_field_that_is_wrong(alice, changes, wrong):
    fields = {"username": "dora-dora", "password1": "a long pass phrase"}
    form = AccountForm({**fields, "password2": "a long pass phrase", **changes})
    assert set(form.errors) == {wrong}
