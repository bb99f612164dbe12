"""The steps of a rotation, and what each refuses. Kills and races: tests/faults."""

import json
import secrets
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import audit, key_versions, keys, master_key, rotation, signer
from accounts.errors import KeyRevoked, MasterKeyError, RotationRefused
from accounts.models import ApiKey, AuditEvent, MasterKeyVersion, RingReport, RootKey
from accounts.rotation import Moved

PATH = "/v2/auth/r/wallets"


def row(key: ApiKey) -> ApiKey:
    return ApiKey.objects.with_seal().get(pk=key.pk)


def rotate(**how) -> Moved:
    version = rotation.new()
    rotation.activate(version)
    return rotation.rewrap(sleep_ms=0, **how)


@pytest.fixture
def several(alice, add_key) -> list[ApiKey]:
    return [add_key(alice) for _ in range(5)]


def test_g04_a_rotation_moves_every_row_and_signing_goes_on(several, ring_file):
    before = [row(key) for key in several]
    stamp = key_versions.derived_key("fingerprint")
    assert rotate(batch=2) == Moved(5, 0, 0, 0)
    master_key.remove(1)
    for old, key in zip(before, several, strict=True):
        new = row(key)
        assert (new.kek_version, new.sealed_secret) == (2, old.sealed_secret)
        assert new.wrapped_dek != old.wrapped_dek
        assert signer.signed(key, PATH, b"{}").headers
    assert key_versions.derived_key("fingerprint") == stamp
    assert audit.verify().broken is None


def test_a_new_version_is_not_used_before_it_is_active(key, alice, add_key):
    assert rotation.new() == 2
    assert row(add_key(alice)).kek_version == 1
    rotation.activate(2)
    assert row(add_key(alice)).kek_version == 2
    assert row(key).kek_version == 1
    assert signer.signed(key, PATH, b"{}").headers


def test_a_rewrap_goes_on_where_it_stopped(several):
    assert rotate(limit=2) == Moved(2, 0, 0, 3)
    assert rotation.rewrap(sleep_ms=0, limit=0) == Moved(0, 0, 0, 3)
    assert rotation.rewrap(sleep_ms=0, batch=2) == Moved(3, 0, 0, 0)
    assert rotation.rewrap(sleep_ms=0) == Moved(0, 0, 0, 0)


def test_a_reseal_gives_new_data_keys_too(several):
    before = [row(key) for key in several]
    assert rotate(reseal=True).moved == 5
    for old, key in zip(before, several, strict=True):
        assert row(key).sealed_secret != old.sealed_secret
        assert signer.signed(key, PATH, b"{}").headers


def test_g04_a_rewrap_never_revives_a_revoked_key(key, alice):
    """The row was read before the revocation, and is written after it."""
    rotation.activate(rotation.new())
    stale = row(key)
    keys.revoke_key(key=key, by=alice, reason="test")
    assert rotation._move(stale, master_key.ring(), 2, reseal=False) == "overtaken"
    assert row(key).wrapped_dek is None
    with pytest.raises(KeyRevoked):
        signer.signed(key, PATH, b"{}")


def test_a_broken_row_is_counted_and_left(several):
    ApiKey.objects.filter(pk=several[2].pk).update(wrapped_dek=bytes(60))
    assert rotate(batch=1) == Moved(4, 0, 1, 1)
    assert rotation.verify() == (4, [str(several[2].pk)])


def test_a_wrong_master_key_is_not_a_broken_row(several, ring_file):
    rotation.activate(rotation.new())
    good = master_key.ring().versions[2]
    wrong = master_key.line(1, secrets.token_bytes(32))
    ring_file.write_text(wrong + master_key.line(2, good))
    ApiKey.objects.filter(pk=several[0].pk).update(kek_version=1)
    with pytest.raises(MasterKeyError, match="version 1 is not the key of this database"):
        rotation.verify()
    RootKey.objects.update(kek_version=2)
    with pytest.raises(MasterKeyError, match="version 1 is not the key of this database"):
        rotation.rewrap(sleep_ms=0)


def test_nothing_to_rewrap_before_the_first_seal(db):
    with pytest.raises(RotationRefused, match="nothing is sealed"):
        rotation.rewrap()


def test_a_version_made_on_another_machine_is_to_be_copied(key):
    MasterKeyVersion.objects.create(version=2, check_value=bytes(8))
    with pytest.raises(RotationRefused, match="another machine"):
        rotation.new()
    assert master_key.ring().newest == 1


def test_a_version_is_not_activated_while_a_process_lacks_it(key, ring_file):
    rotation.report_ring("web-1")
    version = rotation.new()
    with pytest.raises(RotationRefused, match="web-1"):
        rotation.activate(version)
    rotation.report_ring("web-1")
    rotation.activate(version)
    assert rotation.status()["processes"] == {"web-1": [1, 2]}


def test_a_process_that_has_gone_does_not_hold_up_a_rotation(key):
    rotation.report_ring("web-1")
    RingReport.objects.update(seen_at=timezone.now() - timedelta(minutes=2))
    rotation.activate(rotation.new())
    RingReport.objects.update(seen_at=timezone.now() - timedelta(days=2))
    rotation.report_ring("web-2")
    assert [report.process for report in RingReport.objects.all()] == ["web-2"]


def test_a_version_that_the_file_lacks_is_not_activated(key):
    with pytest.raises(MasterKeyError, match="version 7"):
        rotation.activate(7)


def test_a_version_whose_key_differs_is_not_activated(key, ring_file):
    rotation.new()
    ring_file.write_text(master_key.line(1, secrets.token_bytes(32)))
    with pytest.raises(MasterKeyError, match="not the key of this database"):
        rotation.activate(1)


def test_retiring_waits_for_rows_and_backups(several, ring_file):
    for version, why in ((1, "still needed"), (9, "not in use")):
        with pytest.raises(RotationRefused, match=why):
            rotation.retire(version)
    rotate()
    with pytest.raises(RotationRefused, match="30 days"):
        rotation.retire(1)
    rotation.retire(1, keep_days=0)
    assert set(master_key.ring().versions) == {2}
    with pytest.raises(RotationRefused, match="not in use"):
        rotation.retire(1)
    assert rotation.verify() == (5, [])


def test_a_version_that_was_never_used_is_not_retired_by_its_age(key):
    with pytest.raises(RotationRefused, match="days"):
        rotation.retire(rotation.new(), keep_days=0)


def test_a_retired_version_does_not_come_back(key, ring_file):
    before = ring_file.read_text()
    rotate()
    rotation.retire(1, keep_days=0)
    ring_file.write_text(before + ring_file.read_text())
    with pytest.raises(RotationRefused, match="retired"):
        rotation.activate(1)


def test_the_root_moves_by_compare_and_swap(key):
    rotate()
    assert RootKey.objects.get().kek_version == 2
    assert rotation.status()["root_version"] == 2


def test_the_status_counts_keys_by_version(several):
    rotate(limit=2)
    assert rotation.status() == {
        "active": 2,
        "in_file": [1, 2],
        "known": [1, 2],
        "retired": [],
        "keys_by_version": {"1": 3, "2": 2},
        "root_version": 2,
        "processes": {},
    }


def test_g17_each_step_leaves_an_event(several):
    rotate()
    rotation.retire(1, keep_days=0)
    events = AuditEvent.objects.filter(tag="master_key.rotation")
    steps = [json.loads(event.data)["step"] for event in events]
    assert steps == ["new", "activate", "rewrap", "retire"]


def test_only_an_active_version_seals(key):
    rotation.activate(rotation.new())
    master_key.append()  # version 3: in the file, not active
    assert key_versions.active_version(master_key.ring()) == 2
