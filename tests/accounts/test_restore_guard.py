"""A database from a backup is noticed, and what it lost is made safe again."""

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from accounts import audit, keys, restore_guard, revoked_log
from accounts.errors import KeyNotReady, KeyRevoked
from accounts.models import ApiKey, AuditEvent, Epoch, Invitation, KeyState, Notice
from accounts.restore_guard import Restored
from accounts.signer import signed

pytestmark = pytest.mark.django_db(transaction=True)


def rewind() -> None:
    """As if the database were from before the last rise of its epoch."""
    restore_guard.advance()
    Epoch.objects.update(number=0)


def revive(key: ApiKey) -> None:
    """The key's row as a backup has it; its secret is another matter here."""
    columns = {"wrapped_dek": b"w", "sealed_key": b"k", "sealed_secret": b"s"}
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=None, **columns)


def row_of(key: ApiKey) -> ApiKey:
    return ApiKey.objects.with_seal().get(pk=key.pk)


def test_an_ordinary_start_changes_nothing(armed):
    restore_guard.advance()
    assert restore_guard.guard() is None
    assert row_of(armed).is_armed(timezone.now())
    assert Epoch.objects.get().restored_at is None


def test_a_new_database_beside_older_files_is_taken_up_from_there():
    revoked_log.raise_epoch(12)
    assert restore_guard.guard() == Restored(wiped=0, waiting=0)
    assert restore_guard.guard() is None


def test_an_older_database_makes_every_key_wait_for_its_owner(armed):
    rewind()
    assert restore_guard.guard() == Restored(wiped=0, waiting=1)
    row = row_of(armed)
    assert (row.state, row.armed_until) == (KeyState.QUARANTINED, None)
    assert "database was restored" in Notice.objects.get().text
    with pytest.raises(KeyNotReady):
        signed(armed, "/v2/auth/r/wallets", b"{}")


def test_it_is_noticed_once(key):
    rewind()
    assert restore_guard.guard()
    assert restore_guard.guard() is None
    assert revoked_log.epoch() == Epoch.objects.get().number


def test_a_revoked_key_that_came_back_is_wiped_again(key, alice):
    keys.revoke_key(key=key, by=alice, reason="leaked")
    revive(key)
    assert restore_guard.guard() == Restored(wiped=1, waiting=0)
    row = row_of(key)
    assert row.is_revoked
    assert row.sealed_secret is None
    assert row.revoked_reason == restore_guard.REASON


def test_a_revocation_that_another_machine_noted_is_noted_here_too(key, alice):
    keys.revoke_key(key=key, by=alice, reason="leaked")
    (revoked_log.folder() / "revoked.log").unlink()
    restore_guard.guard()
    assert revoked_log.revoked() == {key.fingerprint}


def test_a_revocation_stands_when_the_disk_refuses_its_line(key, alice):
    (revoked_log.folder() / "revoked.log").mkdir()
    keys.revoke_key(key=key, by=alice, reason="leaked")
    assert row_of(key).is_revoked
    (revoked_log.folder() / "revoked.log").rmdir()
    restore_guard.guard()
    assert revoked_log.revoked() == {key.fingerprint}


def test_sessions_and_unused_invitations_of_the_backup_are_void(alice):
    now = timezone.now()
    Session.objects.create(session_key="old", session_data="", expire_date=now)
    Invitation.objects.create(token_hash="unused", made_at=now)
    Invitation.objects.create(token_hash="used", made_at=now, used_at=now)
    rewind()
    restore_guard.guard()
    assert not Session.objects.exists()
    assert Invitation.objects.get().token_hash == "used"
    epoch = alice.auth_epoch
    alice.refresh_from_db()
    assert alice.auth_epoch == epoch + 1


def test_it_leaves_an_event_and_the_chain_holds(key):
    rewind()
    restore_guard.guard()
    assert AuditEvent.objects.filter(tag=audit.Tag.RESTORED).count() == 1
    assert audit.verify().broken is None


def test_nothing_is_half_done_when_the_event_cannot_be_written(key, ring_file):
    rewind()
    ring_file.rename(ring_file.with_name("away"))
    with pytest.raises(Exception, match="cannot be read"):
        restore_guard.guard()
    assert row_of(key).state == KeyState.USABLE
    assert Epoch.objects.get().number == 0


def test_a_backup_raises_the_epoch_past_the_one_in_the_copy(key):
    restore_guard.advance()
    in_the_copy = Epoch.objects.get().number
    restore_guard.note_backup("/backups/x")
    assert revoked_log.epoch() == Epoch.objects.get().number == in_the_copy + 1


def test_nonces_go_on_above_those_used_before(key):
    before = signed(key, "/v2/auth/r/wallets", b"{}").nonce
    ApiKey.objects.filter(pk=key.pk).update(last_nonce=0, send_at=0)
    rewind()
    restore_guard.guard()
    keys.confirm_key(key=key, by=key.owner)
    assert signed(key, "/v2/auth/r/wallets", b"{}").nonce > before


def test_a_revoked_key_is_not_confirmed(key, alice):
    keys.revoke_key(key=key, by=alice, reason="leaked")
    with pytest.raises(KeyRevoked):
        keys.confirm_key(key=key, by=alice)


def test_a_database_without_tables_raises_and_writes_nothing():
    with connection.schema_editor() as editor:
        editor.alter_db_table(Epoch, "accounts_epoch", "gone")
    try:
        with pytest.raises(Exception, match="accounts_epoch"):
            restore_guard.guard()
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Epoch, "gone", "accounts_epoch")
    assert revoked_log.epoch() == 0
