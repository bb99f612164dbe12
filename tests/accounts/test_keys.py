"""Adding, arming, limiting, revoking: each with its event, and only by those who may."""

import json
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from accounts import keys, signer
from accounts.errors import (
    ExchangeUnavailable,
    KeyHalted,
    KeyNotReady,
    KeyRefused,
    KeyRevoked,
    NotAllowed,
    PermissionMissing,
    SealBroken,
)
from accounts.exchange import Burnt, Cancelled
from accounts.models import ApiKey, AuditEvent, AuditHead, HaltLevel, KeyState, RootKey
from accounts.permissions import Permissions
from accounts.policy import KeyPolicy
from accounts.vault import Secret
from tests.accounts import fakes

PATH = "/v2/auth/r/wallets"


def row(key: ApiKey) -> ApiKey:
    return ApiKey.objects.with_seal().get(pk=key.pk)


def events(key: ApiKey | None = None) -> list[str]:
    found = AuditEvent.objects.filter(key=key.pk) if key else AuditEvent.objects
    return list(found.values_list("tag", flat=True))


# --- Adding ---------------------------------------------------------------------------------------
def test_a_key_is_usable_once_the_exchange_has_confirmed_it(alice, add_key, exchange):
    key = add_key(alice, label="  bot  ", terms_acknowledged=True)
    assert (key.state, key.label, key.owner) == (KeyState.USABLE, "bot", alice)
    assert key.permissions == Permissions.from_rows(fakes.TRADES)
    assert key.terms_at is not None
    assert exchange.asked == ["permissions unverified halt 0"]
    assert events(key) == ["key.added", "key.verified"]


def test_a_key_is_read_only_until_it_is_armed(key):
    assert key.armed_until is None


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_exchange_is_asked(alice, add_key, exchange):
    add_key(alice)
    assert exchange.in_transaction == [False]


@pytest.mark.django_db(transaction=True)
def test_a_key_cannot_be_added_inside_a_transaction(alice, add_key):
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        add_key(alice)


def test_secrets_are_taken_as_such_or_as_text(alice, add_key):
    key = add_key(alice, api_key=Secret(" " + "n" * 40 + "\n"), api_secret="s" * 40)
    assert key.last4 == "nnnn"


@pytest.mark.parametrize("field", ["api_key", "api_secret"])
def test_what_can_be_no_key_is_refused(alice, add_key, field):
    with pytest.raises(KeyRefused, match="malformed"):
        add_key(alice, **{field: "not a key"})
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("label", ["", "   ", "x" * 61, "two\nlines", "\u202egnp"])
def test_a_label_is_one_short_readable_line(alice, add_key, label):
    with pytest.raises(KeyRefused, match="label"):
        add_key(alice, label=label)


def test_the_same_key_is_not_added_twice(alice, bob, add_key):
    name = fakes.new_text()
    add_key(alice, api_key=name)
    for person in (alice, bob):
        with pytest.raises(KeyRefused, match="known"):
            add_key(person, api_key=f" {name} ")
    assert ApiKey.objects.count() == 1
    refused = AuditEvent.objects.filter(tag="key.refused").values_list("actor", flat=True)
    assert list(refused) == [alice.pk, bob.pk]


def test_the_same_key_may_be_one_of_each_exchange(alice, add_key, settings):
    name = fakes.new_text()
    add_key(alice, api_key=name)
    settings.BFX_EXCHANGE = "live"
    assert add_key(alice, api_key=name).exchange == "live"


def test_a_revoked_key_is_not_added_again(alice, add_key):
    name = fakes.new_text()
    keys.revoke_key(key=add_key(alice, api_key=name), by=alice, reason="leaked")
    with pytest.raises(KeyRefused, match="known"):
        add_key(alice, api_key=name)


def test_a_refused_key_may_be_tried_again_once_it_is_mended(alice, add_key, exchange):
    name = fakes.new_text()
    exchange.rows.append(("withdraw", 0, 1))
    with pytest.raises(KeyRefused, match="withdraw"):
        add_key(alice, api_key=name)
    exchange.rows.pop()
    assert add_key(alice, api_key=name).state == KeyState.USABLE


def test_several_keys_of_one_user_have_nonces_of_their_own(alice, add_key):
    one, other = add_key(alice), add_key(alice)
    signer.signed(one, PATH, b"{}")
    assert (row(one).last_nonce > 0, row(other).last_nonce) == (True, 0)


# --- Arming ---------------------------------------------------------------------------------------
def test_a_key_is_armed_for_twelve_hours(key, alice):
    before = timezone.now()
    until = keys.arm_key(key=key, by=alice).armed_until
    assert until is not None
    assert timedelta(0) <= until - before - keys.ARMED_FOR < timedelta(seconds=10)
    keys.disarm_key(key=key, by=alice, reason="done")
    assert row(key).armed_until is None
    assert events(key)[-2:] == ["key.armed", "key.disarmed"]


def test_the_owner_may_say_until_when(key, alice):
    until = timezone.now() + timedelta(days=365)
    assert keys.arm_key(key=key, by=alice, until=until).armed_until == until


def test_g12_only_the_owner_arms_and_limits(key, bob, charlie):
    for person in (bob, charlie):
        with pytest.raises(NotAllowed):
            keys.arm_key(key=key, by=person)
        with pytest.raises(NotAllowed):
            keys.set_policy(key=key, by=person, policy=KeyPolicy())
    with pytest.raises(NotAllowed):
        keys.disarm_key(key=key, by=bob)
    keys.disarm_key(key=key, by=charlie)


def test_a_key_without_orders_is_not_armed(alice, add_key, exchange):
    exchange.rows = [("wallets", 1, 0)]
    with pytest.raises(PermissionMissing, match="may not write orders"):
        keys.arm_key(key=add_key(alice), by=alice)


def test_only_a_usable_key_is_armed(alice, add_key, exchange):
    exchange.problem = ExchangeUnavailable("no route")
    unverified = add_key(alice)
    with pytest.raises(KeyNotReady):
        keys.arm_key(key=unverified, by=alice)
    keys.revoke_key(key=unverified, by=alice, reason="test")
    with pytest.raises(KeyRevoked):
        keys.arm_key(key=unverified, by=alice)


# --- Policy ---------------------------------------------------------------------------------------
def test_a_new_policy_is_sealed_with_the_secret(key, alice):
    policy = KeyPolicy(("tBTCUSD",), largest_order=Decimal(50))
    changed = keys.set_policy(key=key, by=alice, policy=policy)
    assert (changed.policy, changed.generation) == (policy, 2)
    assert signer.signed(changed, PATH, b"{}").headers
    data = json.loads(AuditEvent.objects.get(tag="key.policy_changed").data)
    assert data["before"] != data["after"] == policy.text


def test_g01_an_older_row_with_its_older_policy_does_not_open(key, alice):
    """A rollback of policy and seal alone, without the generation."""
    before = row(key)
    keys.set_policy(key=key, by=alice, policy=KeyPolicy(largest_order=Decimal(1)))
    columns = ("policy_text", "wrapped_dek", "sealed_key", "sealed_secret")
    ApiKey.objects.filter(pk=key.pk).update(**{name: getattr(before, name) for name in columns})
    with pytest.raises(SealBroken):
        signer.signed(key, PATH, b"{}")


# --- Revoking -------------------------------------------------------------------------------------
def test_g05_a_revoked_key_has_no_secret_any_more(armed, alice):
    done = keys.revoke_key(key=armed, by=alice, reason="leaked")
    found = row(armed)
    assert [found.kek_version, found.wrapped_dek, found.sealed_key, found.sealed_secret] == [
        None
    ] * 4
    assert (found.revoked_by, found.revoked_reason, found.armed_until) == (alice, "leaked", None)
    assert (found.generation, done.cancelled) == (2, None)
    assert found.is_quiet(timezone.now() + timedelta(seconds=3))
    with pytest.raises(KeyRevoked):
        signer.signed(armed, PATH, b"{}")


def test_revoking_twice_changes_nothing(key, alice, charlie):
    first = keys.revoke_key(key=key, by=alice, reason="first").key
    second = keys.revoke_key(key=key, by=charlie, reason="second").key
    assert second.revoked_at == first.revoked_at
    assert second.revoked_reason == "first"
    assert events(key).count("key.revoked") == 1


def test_owner_staff_and_host_may_revoke(alice, bob, charlie, add_key):
    with pytest.raises(NotAllowed):
        keys.revoke_key(key=add_key(alice), by=bob, reason="test")
    for by in (alice, charlie, None):
        assert keys.revoke_key(key=add_key(alice), by=by, reason="test").key.revoked_by == by


def test_orders_are_cancelled_before_the_wipe_while_placing_is_stopped(armed, alice, exchange):
    done = keys.revoke_key(key=armed, by=alice, reason="leaked", cancel_orders=True)
    assert exchange.asked[-1] == "cancel_all usable halt 1"
    assert done.cancelled == Cancelled(2)
    assert done.key.is_revoked
    assert events(armed)[-2:] == ["halt.set", "key.revoked"]


@pytest.mark.parametrize("problem", [ExchangeUnavailable("time-out"), KeyHalted(uuid4(), 2)])
def test_a_cancel_that_fails_does_not_hold_up_the_wipe(armed, alice, exchange, problem):
    exchange.problem = problem
    done = keys.revoke_key(key=armed, by=alice, reason="leaked", cancel_orders=True)
    assert done.cancelled == Cancelled(None, str(problem))
    assert done.key.is_revoked


def test_nonces_are_burnt_after_the_cancel_and_before_the_wipe(armed, alice, exchange):
    done = keys.revoke_key(key=armed, by=alice, reason="leaked", cancel_orders=True, burn=True)
    assert exchange.asked[-2:] == ["cancel_all usable halt 1", "burn usable halt 1"]
    assert done.burnt == Burnt()
    assert done.key.is_revoked
    data = json.loads(AuditEvent.objects.get(tag="key.revoked").data)
    assert data == {"reason": "leaked", "burnt": "yes"}


@pytest.mark.parametrize("problem", [ExchangeUnavailable("time-out"), KeyHalted(uuid4(), 2)])
def test_a_burning_that_fails_does_not_hold_up_the_wipe(armed, alice, exchange, problem):
    exchange.problem = problem
    done = keys.revoke_key(key=armed, by=alice, reason="leaked", burn=True)
    assert done.burnt == Burnt(str(problem))
    assert done.key.is_revoked
    assert str(problem) in AuditEvent.objects.get(tag="key.revoked").data


def test_all_keys_of_one_user_are_revoked(alice, bob, charlie, add_key):
    mine, other = [add_key(alice) for _ in range(3)], add_key(bob)
    with pytest.raises(NotAllowed):
        keys.revoke_all(by=bob, owner=alice, reason="test")
    assert len(keys.revoke_all(by=charlie, owner=alice, reason="test")) == 3
    assert all(row(key).is_revoked for key in mine)
    assert not row(other).is_revoked
    with pytest.raises(NotAllowed):
        keys.revoke_all(by=bob, reason="everybody")
    assert len(keys.revoke_all(by=None, reason="everybody")) == 1


# --- One transaction ------------------------------------------------------------------------------
ACTS = {
    "arm": lambda key: keys.arm_key(key=key, by=key.owner),
    "disarm": lambda key: keys.disarm_key(key=key, by=key.owner),
    "policy": lambda key: keys.set_policy(key=key, by=key.owner, policy=KeyPolicy(("tBTCUSD",))),
    "revoke": lambda key: keys.revoke_key(key=key, by=key.owner, reason="test"),
    "halt": lambda key: keys.halt_keys(
        by=key.owner, key=key, level=HaltLevel.ORDERS, reason="test"
    ),
    "permissions": lambda key: keys.note_permissions(key=key, permissions=Permissions()),
    "rejection": lambda key: keys.note_rejection(key=key, code=1, text="test"),
}


@pytest.mark.parametrize("act", ACTS)
def test_g17_an_act_whose_event_fails_is_undone(armed, act, ring_file):
    """No act without its event: here the audit key is gone."""
    before = {name: value for name, value in vars(row(armed)).items() if name != "_state"}
    RootKey.objects.update(wrapped=bytes(60))
    with pytest.raises(SealBroken):
        ACTS[act](armed)
    after = {name: value for name, value in vars(row(armed)).items() if name != "_state"}
    assert after == before
    assert AuditHead.objects.get().seq == AuditEvent.objects.count() == 3


def test_g17_every_act_leaves_exactly_one_event(alice, add_key):
    for act in ACTS.values():
        key = keys.arm_key(key=add_key(alice), by=alice)
        before = AuditEvent.objects.count()
        act(key)
        assert AuditEvent.objects.count() == before + 1
