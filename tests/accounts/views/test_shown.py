from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import ApiKey, KeyState
from accounts.policy import KeyPolicy
from accounts.views.shown import KeyShown, policy_lines, refusal_words

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def shown(**columns: object) -> KeyShown:
    fields = {"label": "bot", "last4": "WXYZ", "policy_text": KeyPolicy().text}
    return KeyShown(ApiKey(**{**fields, "state": KeyState.USABLE, **columns}), NOW)


@pytest.mark.parametrize(
    ("columns", "state", "words"),
    [
        ({}, "usable", "read-only"),
        ({"armed_until": NOW + timedelta(1)}, "armed", "armed: may place orders"),
        ({"armed_until": NOW}, "usable", "read-only"),
        ({"halt": 1, "armed_until": NOW + timedelta(1)}, "halted", "halted: no orders"),
        ({"halt": 2}, "halted", "halted: no signing"),
        ({"revoked_at": NOW}, "revoked", "revoked, just now"),
        ({"revoked_at": NOW - timedelta(seconds=3)}, "quiet", "revoked, nothing of it is on its"),
        ({"state": KeyState.UNVERIFIED}, "unverified", "not confirmed yet"),
        ({"state": KeyState.REFUSED}, "refused", "refused"),
        ({"state": KeyState.REJECTED, "halt": 1}, "rejected", "the exchange no longer"),
        ({"state": KeyState.QUARANTINED}, "quarantined", "locked"),
    ],
)
def test_each_state_has_its_words(columns, state, words):
    key = shown(**columns)
    assert (key.state, key.words.startswith(words)) == (state, True)


def test_last_use_is_a_time_or_never():
    assert shown().last_used is None
    assert shown(send_at=1_800_000_000_000_000).last_used == datetime(2027, 1, 15, 8, tzinfo=UTC)


def test_every_scope_stands_in_the_matrix_unknown_ones_too():
    key = shown(scopes={"orders": ["read", "write"], "teleport": ["write"]})
    table = {scope.name: (scope.read, scope.write) for scope in key.scopes}
    assert (table["orders"], table["wallets"]) == ((True, True), (False, False))
    assert table["teleport"] == (False, True)
    assert key.scope_summary == "writes: Orders, teleport"
    assert shown().scope_summary == "reads only"


@pytest.mark.parametrize("reason", ["malformed", "known", "withdraw", "rejected", "label", "new"])
def test_every_refusal_has_words(reason):
    assert refusal_words(reason, "").endswith(".")
    assert ("said: why" in refusal_words(reason, "why")) == (reason == "rejected")


def test_limits_are_shown_in_groups_and_their_absence_in_words():
    shown = dict(policy_lines(KeyPolicy(largest_order=Decimal("1234567.5"))))
    assert shown["Largest order"] == "1\u202f234\u202f567.5 USD"
    assert shown["All orders of a day"] == "1\u202f000\u202f000 USD"
    assert shown["Orders a minute"] == "no limit but the exchange’s"
    assert dict(policy_lines(KeyPolicy(orders_a_minute=3)))["Orders a minute"] == "3"
