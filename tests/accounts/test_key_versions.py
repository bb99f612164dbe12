"""What the database knows of the master key, and what is derived for the installation."""

import pytest
from django.db import connection

from accounts import key_versions, master_key
from accounts.errors import MasterKeyError, SealBroken
from accounts.models import MasterKeyVersion, RootKey

pytestmark = pytest.mark.django_db


def replace_key(ring_file) -> None:
    ring_file.unlink()
    master_key.make()


def test_a_sandbox_makes_its_master_key_at_the_first_use(ring_file):
    ring_file.unlink()
    assert key_versions.ready_ring().versions.keys() == {1}
    assert ring_file.stat().st_mode & 0o777 == 0o600


def test_live_makes_one_only_when_told(settings, ring_file):
    settings.BFX_EXCHANGE = "live"
    ring_file.unlink()
    with pytest.raises(MasterKeyError, match="cannot be read"):
        key_versions.ready_ring()
    assert key_versions.ready_ring(make=True).newest == 1


def test_a_lost_key_is_not_replaced(ring_file):
    key_versions.derived_key("audit")
    ring_file.unlink()
    with pytest.raises(MasterKeyError, match="cannot be read"):
        key_versions.ready_ring(make=True)


def test_the_first_use_takes_the_newest_version(ring_file):
    master_key.append()
    ring = master_key.ring()
    assert key_versions.active_version(ring) == 2
    known = dict(MasterKeyVersion.objects.values_list("version", "active"))
    assert known == {1: False, 2: True}
    assert key_versions.active_version(ring) == 2


def test_a_wrong_key_is_told_from_a_broken_seal(ring_file):
    key_versions.derived_key("audit")
    replace_key(ring_file)
    with pytest.raises(MasterKeyError, match="not the key of this database"):
        key_versions.derived_key("audit")
    with pytest.raises(MasterKeyError, match="not the key of this database"):
        key_versions.active_version(master_key.ring())


def test_a_changed_root_is_a_broken_seal():
    key_versions.derived_key("audit")
    RootKey.objects.update(wrapped=bytes(60))
    with pytest.raises(SealBroken, match="root key"):
        key_versions.derived_key("audit")


def test_derived_keys_stay_the_same():
    first = key_versions.derived_key("audit")
    assert key_versions.derived_key("audit") == first
    assert key_versions.derived_key("fingerprint") != first


def test_problems_are_none_while_all_is_well(key):
    assert key_versions.problems() == []
    assert key_versions.needed_versions() == {1}


def test_a_version_that_the_database_never_saw_is_a_problem(key):
    MasterKeyVersion.objects.all().delete()
    assert len(key_versions.problems()) == 1


def test_up_makes_the_first_key_of_a_live_installation(settings, ring_file):
    settings.BFX_EXCHANGE = "live"
    ring_file.unlink()
    key_versions.make_first()
    before = ring_file.read_text()
    key_versions.make_first()
    assert ring_file.read_text() == before


def test_up_makes_one_before_the_first_migration_too(ring_file):
    ring_file.unlink()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_masterkeyversion RENAME TO gone")
    key_versions.make_first()
    assert ring_file.exists()


def test_up_does_not_replace_a_lost_key(ring_file):
    key_versions.derived_key("audit")
    ring_file.unlink()
    key_versions.make_first()
    assert not ring_file.exists()
