"""The only door to secrets: what comes out of it, when, and what a broken row does to it."""

import gc
import json
import time
import traceback
from typing import Any

import pytest
from django.db import connection

from accounts import keys, master_key, nonces, signer, signing
from accounts.errors import (
    AccountsError,
    KeyHalted,
    KeyNotReady,
    KeyRevoked,
    MasterKeyError,
    SealBroken,
    SendWindowMissed,
)
from accounts.models import ApiKey, AuditEvent, HaltLevel, KeyState
from accounts.signer import (
    SendWindow,
    Signed,
    nonce_accepted,
    nonce_refused,
    signed,
    ws_auth,
)
from accounts.vault import Secret

PATH, BODY = "/v2/auth/r/wallets", b"{}"
NAME, SECRET = "n" * 43, "CANARY" + "s" * 37


@pytest.fixture
def key(alice, add_key) -> Any:
    return add_key(alice, api_key=NAME, api_secret=SECRET)


def write(key: ApiKey, **columns: object) -> None:
    ApiKey.objects.filter(pk=key.pk).update(**columns)


def state(key: ApiKey) -> str:
    return ApiKey.objects.get(pk=key.pk).state


def test_a_call_is_signed_with_the_keys_own_secret(key):
    done = signed(key, PATH, BODY)
    payload = signing.rest_payload(PATH, done.nonce, BODY)
    assert done.headers == {
        "bfx-apikey": NAME,
        "bfx-nonce": str(done.nonce),
        "bfx-signature": signing.sign(SECRET, payload),
        "content-type": "application/json",
    }


def test_a_log_in_is_signed_with_the_same_nonces(key):
    first, login, last = signed(key, PATH, BODY), ws_auth(key), signed(key, PATH, BODY)
    assert first.nonce < login.nonce < last.nonce
    assert login.message["authPayload"] == f"AUTH{login.nonce}"
    expected = signing.sign(SECRET, login.message["authPayload"].encode())
    assert login.message["authSig"] == expected
    assert json.loads(json.dumps(login.message))["apiKey"] == NAME


def test_what_is_signed_does_not_print(key):
    for done in (signed(key, PATH, BODY), ws_auth(key)):
        assert NAME not in repr(done)
        assert "signature" not in repr(done)


def test_a_wrong_path_costs_no_nonce(key):
    with pytest.raises(ValueError, match="not the plain path"):
        signed(key, "/v2/tickers", BODY)
    assert ApiKey.objects.get(pk=key.pk).last_nonce == 0


def test_each_signature_asks_the_row_again(key, alice):
    signed(key, PATH, BODY)
    keys.revoke_key(key=key, by=alice, reason="test")
    with pytest.raises(KeyRevoked):
        signed(key, PATH, BODY)
    with pytest.raises(KeyRevoked):
        ws_auth(key)


def test_g07_a_halt_of_all_signing_stops_everything(key):
    keys.halt_keys(by=None, level=HaltLevel.SIGNING, reason="test")
    for act in ("read", "cancel", "place"):
        with pytest.raises(KeyHalted):
            signed(key, PATH, BODY, act)
    with pytest.raises(KeyHalted):
        ws_auth(key)


# --- The window -----------------------------------------------------------------------------------
def test_a_request_leaves_inside_its_window_or_never():
    window = SendWindow(opens_ns=1_000, closes_ns=250_001_000)
    assert window.wait_ns(0) == 1_000
    assert window.wait_ns(2_000) == 0
    window.check(250_001_000)
    with pytest.raises(SendWindowMissed) as caught:
        window.check(250_001_000 + 7_000)
    assert caught.value.late_us == 7


def test_the_window_closes_250_ms_after_the_grant_was_asked_for(key):
    before = time.monotonic_ns()
    windows = [signed(key, PATH, BODY).window for _ in range(3)]
    after = time.monotonic_ns()
    for window in windows:
        assert before + 250_000_000 <= window.closes_ns <= after + 250_000_000
    opens = [window.opens_ns for window in windows]
    assert opens == sorted(opens)
    assert opens[2] - opens[0] >= 60_000_000  # two gaps of 50 ms, less what the calls took


# --- Refused nonces -------------------------------------------------------------------------------
def test_a_refused_nonce_is_noted_and_an_accepted_one_ends_it(key, django_assert_num_queries):
    first = signed(key, PATH, BODY)
    with django_assert_num_queries(0):
        nonce_accepted(first)
    assert nonce_refused(first) == 1
    second = signed(key, PATH, BODY)
    assert second.bump == 1
    nonce_accepted(second)
    assert ApiKey.objects.get(pk=key.pk).bump == 0


# --- Broken rows ----------------------------------------------------------------------------------
def quarantined(key: ApiKey) -> bool:
    with pytest.raises(SealBroken):
        signed(key, PATH, BODY)
    with pytest.raises(KeyNotReady, match="quarantined"):
        signed(key, PATH, BODY)
    event = AuditEvent.objects.filter(tag="key.integrity_failed").get()
    return event.key == key.pk and state(key) == KeyState.QUARANTINED


LOOSER = '{"day_total":"1000000","largest_order":"1000000","orders_a_minute":10}'
TAMPERED = {
    "the owner": lambda key, other: {"owner": other.owner},
    "the policy": lambda key, other: {"policy_text": LOOSER},
    "the generation": lambda key, other: {"generation": 2},
    "the secret": lambda key, other: {"sealed_secret": other.sealed_secret},
    "the name": lambda key, other: {"sealed_key": other.sealed_key},
    "the data key": lambda key, other: {"wrapped_dek": other.wrapped_dek},
    "all three": lambda key, other: {
        "sealed_secret": other.sealed_secret,
        "sealed_key": other.sealed_key,
        "wrapped_dek": other.wrapped_dek,
    },
    "a plain text": lambda key, other: {"sealed_secret": SECRET.encode()},
    "nothing": lambda key, other: {"sealed_secret": None},
}


@pytest.mark.parametrize("what", TAMPERED)
def test_g01_a_row_changed_in_the_database_signs_nothing(key, bob, add_key, what):
    other = ApiKey.objects.with_seal().get(pk=add_key(bob).pk)
    write(key, **TAMPERED[what](key, other))
    assert quarantined(key)


def test_g01_two_rows_swapped_in_the_database_sign_nothing(key, bob, add_key):
    """Finding L1: field libraries without row binding return the other's secret."""
    mine = ApiKey.objects.with_seal().get(pk=key.pk)
    other = ApiKey.objects.with_seal().get(pk=add_key(bob).pk)
    for row, source in ((mine, other), (other, mine)):
        columns = ("wrapped_dek", "sealed_key", "sealed_secret")
        write(row, **{column: getattr(source, column) for column in columns})
    for row in (mine, other):
        with pytest.raises(SealBroken):
            signed(row, PATH, BODY)
    assert {state(mine), state(other)} == {KeyState.QUARANTINED}


def test_g01_text_in_a_binary_column_signs_nothing(key):
    """Finding L3; SQLite stores whatever it is given."""
    value = SECRET if connection.vendor == "sqlite" else SECRET.encode()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_apikey SET sealed_secret = %s", [value])
    assert quarantined(key)


def test_g01_a_live_key_relabelled_as_a_sandbox_key_signs_nothing(settings, alice, add_key):
    settings.BFX_EXCHANGE = "live"
    key = add_key(alice)
    settings.BFX_EXCHANGE = "sandbox"
    write(key, exchange="sandbox")
    assert quarantined(ApiKey.objects.get(pk=key.pk))


def test_a_key_is_quarantined_once_and_told_after_the_commit(
    key, django_capture_on_commit_callbacks
):
    write(key, generation=2)
    with django_capture_on_commit_callbacks() as told, pytest.raises(SealBroken):
        signed(key, PATH, BODY)
    assert len(told) == 1
    assert AuditEvent.objects.filter(tag="key.integrity_failed").count() == 1


def test_a_row_replaced_meanwhile_is_not_quarantined(key):
    """The broken seal was read before somebody else wrote a new one."""
    old = nonces.grant(key, "read")
    keys.set_policy(key=key, by=key.owner, policy=key.policy)
    signer._quarantine(key, old)
    assert state(key) == KeyState.USABLE


def test_a_wrong_master_key_quarantines_nobody(key, ring_file):
    ring_file.unlink()
    master_key.make()
    with pytest.raises(MasterKeyError, match="not the key of this database"):
        signed(key, PATH, BODY)
    assert state(key) == KeyState.USABLE


@pytest.mark.parametrize("version", [0, 2, None])
def test_an_unknown_version_of_the_master_key_signs_nothing(key, version):
    write(key, kek_version=version)
    with pytest.raises(MasterKeyError, match="is not in it"):
        signed(key, PATH, BODY)


# --- Nothing leaks --------------------------------------------------------------------------------
def test_no_error_carries_a_secret(key, ring_file):
    write(key, generation=2)
    with pytest.raises(AccountsError) as caught:
        signed(key, PATH, BODY)
    found = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "CANARY" not in "".join(found.format())


def test_nothing_is_kept_between_two_signatures(key):
    """Whatever survives a signature could sign after a revocation."""
    assert len(signed(key, PATH, BODY).headers["bfx-signature"]) == 96
    gc.collect()
    # By type(): isinstance() would wake the lazy objects of requests that other tests have left.
    kept = [each for each in gc.get_objects() if type(each) in {Signed, Secret, nonces.Grant}]
    assert not kept


def test_whether_a_key_may_sign_is_told_without_a_nonce(key):
    before = ApiKey.objects.get(pk=key.pk).last_nonce
    assert signer.ready(key, "read").last_nonce == before
    keys.revoke_key(key=key, by=key.owner, reason="test")
    with pytest.raises(KeyRevoked):
        signer.ready(key, "cancel")
