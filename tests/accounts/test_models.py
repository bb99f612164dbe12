"""The people of the site, and the rows of their keys."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core import serializers
from django.db import IntegrityError, connection

from accounts.errors import PermissionMissing
from accounts.models import ApiKey, User
from accounts.policy import KeyPolicy
from tests.accounts import fakes

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_people_are_rows_of_our_own_user_model():
    assert get_user_model() is User


def test_alice_and_bob_are_nobody_special_and_charlie_is_staff(alice, bob, charlie):
    assert [person.is_staff for person in (alice, bob, charlie)] == [False, False, True]
    assert alice.pk != bob.pk


def test_a_key_shows_its_label_and_last_four(alice, add_key):
    key = add_key(alice, label="bot", api_key="x" * 20 + "abcd")
    assert str(key) == "bot (…abcd)"
    assert key.policy == KeyPolicy()


def test_a_stale_copy_cannot_be_saved(key):
    with pytest.raises(TypeError, match="conditional updates"):
        key.save()


def test_sealed_columns_are_not_loaded_unless_asked_for(key):
    row = ApiKey.objects.get(pk=key.pk)
    assert row.get_deferred_fields() == {"wrapped_dek", "sealed_key", "sealed_secret"}
    assert ApiKey.objects.with_seal().get(pk=key.pk).get_deferred_fields() == set()


@pytest.mark.parametrize("form", ["json", "jsonl", "xml"])
def test_a_serialized_row_shows_no_secret(alice, add_key, form):
    """Finding L5: field libraries that open on load print the plain text here."""
    secret = "CANARY" + fakes.new_text()
    add_key(alice, api_secret=secret, api_key=secret[::-1])
    text = serializers.serialize(form, ApiKey.objects.with_seal())
    assert "CANARY" not in text
    assert secret[::-1] not in text


def test_no_column_of_the_database_holds_the_plain_text(alice, add_key):
    name, secret = "NAME" + fakes.new_text(), "CANARY" + fakes.new_text()
    key = add_key(alice, api_key=name, api_secret=secret)
    columns = str([bytes(v) if isinstance(v, memoryview) else v for v in vars_of(key)])
    assert secret not in columns
    assert name not in columns


def vars_of(key: ApiKey) -> list[object]:
    return [getattr(key, field.attname) for field in ApiKey._meta.concrete_fields]


def test_the_database_refuses_a_revoked_row_with_a_secret(key):
    with pytest.raises(IntegrityError):
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=NOW)


def test_a_key_is_quiet_three_seconds_after_its_revocation(key):
    key.revoked_at = NOW
    assert key.is_revoked
    assert not key.is_quiet(NOW + timedelta(seconds=2.9))
    assert key.is_quiet(NOW + timedelta(seconds=3))
    key.revoked_at = None
    assert not key.is_quiet(NOW)


def test_a_key_is_armed_until_its_time(key):
    assert not key.is_armed(NOW)
    key.armed_until = NOW
    assert key.is_armed(NOW - timedelta(seconds=1))
    assert not key.is_armed(NOW)


def test_what_the_exchange_does_not_allow_is_named(key):
    key.require("orders", "write")
    with pytest.raises(PermissionMissing, match="may not write wallets"):
        key.require("wallets", "write")


def test_three_refused_nonces_in_a_row_mean_a_shared_key(key):
    assert not key.is_shared
    key.bump = 3
    assert key.is_shared


def test_the_test_database_is_the_one_of_the_profile(db, profile):
    assert connection.vendor == {"embedded": "sqlite", "scaled": "postgresql"}[profile]
