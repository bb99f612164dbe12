"""What the exchange says about a key, and what follows."""

from uuid import UUID

import pytest

from accounts import keys
from accounts.errors import ExchangeUnavailable, KeyBusy, KeyHalted, KeyRefused, KeyRejected
from accounts.models import ApiKey, AuditEvent, KeyState
from accounts.permissions import Permissions
from accounts.verdicts import check_key, note_permissions, note_rejection
from tests.accounts import fakes

WITHDRAWS = ("withdraw", 1, 1)


def row(key: ApiKey) -> ApiKey:
    return ApiKey.objects.with_seal().get(pk=key.pk)


def tags() -> list[str]:
    return list(AuditEvent.objects.values_list("tag", flat=True))


@pytest.fixture
def unverified(alice, add_key, exchange) -> ApiKey:
    exchange.problem = ExchangeUnavailable("no route")
    key: ApiKey = add_key(alice)
    exchange.problem = None
    return key


def test_a_key_stays_unverified_while_the_exchange_does_not_answer(unverified):
    assert unverified.state == KeyState.UNVERIFIED
    assert check_key(key=unverified).state == KeyState.USABLE
    assert tags() == ["key.added", "key.verified"]


@pytest.mark.parametrize("problem", [KeyHalted(UUID(int=1), 2), KeyBusy(UUID(int=1), 9)])
def test_a_key_stays_unverified_while_it_cannot_sign(alice, add_key, exchange, problem):
    exchange.problem = problem
    assert add_key(alice).state == KeyState.UNVERIFIED


def test_a_new_key_that_can_withdraw_is_wiped_and_refused(unverified, exchange):
    exchange.rows.append(WITHDRAWS)
    with pytest.raises(KeyRefused, match="withdraw"):
        check_key(key=unverified)
    found = row(unverified)
    assert (found.state, found.wrapped_dek, found.sealed_secret) == (KeyState.REFUSED, None, None)
    assert found.fingerprint is None
    assert tags()[-1] == "key.refused"


def test_the_operator_may_allow_withdrawals(settings, unverified, exchange):
    settings.BFX_WITHDRAWALS = True
    exchange.rows.append(WITHDRAWS)
    assert check_key(key=unverified).state == KeyState.USABLE


def test_a_key_that_the_exchange_does_not_know_is_wiped_and_refused(unverified, exchange):
    exchange.problem = KeyRejected(10100, "apikey: digest invalid")
    with pytest.raises(KeyRefused, match="digest invalid"):
        check_key(key=unverified)
    assert row(unverified).wrapped_dek is None


def test_a_withdraw_scope_that_appears_later_disarms(armed, exchange):
    exchange.rows.append(WITHDRAWS)
    assert check_key(key=armed).armed_until is None
    event = AuditEvent.objects.get(tag="key.permissions_changed")
    assert '"disarmed":true' in event.data
    with pytest.raises(KeyRefused, match="withdraw"):
        keys.arm_key(key=armed, by=armed.owner)


def test_other_changes_of_scope_are_noted(armed):
    note_permissions(key=armed, permissions=Permissions.from_rows([("orders", 1, 0)]))
    found = row(armed)
    assert found.scopes == {"orders": ["read"]}
    assert found.armed_until == armed.armed_until


def test_an_unchanged_answer_leaves_no_event(key, exchange):
    before = tags()
    assert (check_key(key=key).scopes_at or 0) > (key.scopes_at or 0)  # type: ignore[operator]
    assert tags() == before


def test_a_key_deleted_at_the_exchange_is_marked_and_disarmed(armed):
    note_rejection(key=armed, code=10100, text="apikey: invalid" + "!" * 999)
    found = row(armed)
    assert (found.state, found.armed_until) == (KeyState.REJECTED, None)
    assert len(AuditEvent.objects.get(tag="key.rejected").data) < 300
    note_rejection(key=armed, code=10100, text="again")
    assert tags().count("key.rejected") == 1


def test_an_answer_after_the_revocation_changes_nothing(unverified, alice):
    keys.revoke_key(key=unverified, by=alice, reason="test")
    note_permissions(key=unverified, permissions=Permissions.from_rows(fakes.TRADES))
    note_rejection(key=unverified, code=10100, text="apikey: invalid")
    assert row(unverified).state == KeyState.UNVERIFIED
    assert row(unverified).is_revoked
