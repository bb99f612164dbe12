"""G7: halts of one key, one user, the site; later keys too, and what staff set stays."""

import pytest

from accounts.errors import NotAllowed
from accounts.halts import halt_keys
from accounts.keys import revoke_key
from accounts.models import ApiKey, AuditEvent, HaltLevel

NONE, ORDERS, SIGNING = HaltLevel


def halt(key: ApiKey) -> int:
    return ApiKey.objects.get(pk=key.pk).halt


@pytest.fixture
def bobs(bob, add_key) -> ApiKey:
    key: ApiKey = add_key(bob)
    return key


def test_g07_a_halt_of_the_site_covers_every_key(key, bobs, charlie):
    assert halt_keys(by=charlie, level=SIGNING, reason="test") == 2
    assert (halt(key), halt(bobs)) == (SIGNING, SIGNING)
    halt_keys(by=charlie, level=NONE, reason="over")
    assert (halt(key), halt(bobs)) == (NONE, NONE)


def test_a_halt_of_one_user_covers_his_keys(alice, key, bobs, charlie):
    assert halt_keys(by=charlie, owner=alice, level=ORDERS, reason="test") == 1
    assert (halt(key), halt(bobs)) == (ORDERS, NONE)


def test_a_halt_of_one_key_covers_that_key(alice, key, add_key):
    other = add_key(alice)
    assert halt_keys(by=alice, key=key, level=SIGNING, reason="test") == 1
    assert (halt(key), halt(other)) == (SIGNING, NONE)


def test_the_highest_halt_counts_and_each_is_released_by_itself(alice, key, charlie):
    halt_keys(by=alice, key=key, level=ORDERS, reason="mine")
    halt_keys(by=charlie, level=SIGNING, reason="site")
    assert halt(key) == SIGNING
    halt_keys(by=charlie, level=NONE, reason="site over")
    assert halt(key) == ORDERS
    halt_keys(by=alice, key=key, level=NONE, reason="mine over")
    assert halt(key) == NONE


@pytest.mark.parametrize("of_site", [True, False])
def test_g07_a_key_added_later_is_halted_too(alice, charlie, add_key, of_site):
    halt_keys(by=charlie, owner=None if of_site else alice, level=ORDERS, reason="test")
    assert halt(add_key(alice)) == ORDERS


def test_a_user_halts_his_own_keys_only(alice, bob, bobs):
    with pytest.raises(NotAllowed):
        halt_keys(by=alice, level=SIGNING, reason="all of them")
    with pytest.raises(NotAllowed):
        halt_keys(by=alice, owner=bob, level=SIGNING, reason="his")
    with pytest.raises(NotAllowed):
        halt_keys(by=alice, key=bobs, level=SIGNING, reason="that one")
    assert halt(bobs) == NONE


def test_a_user_does_not_release_what_staff_have_halted(alice, key, charlie):
    halt_keys(by=charlie, owner=alice, level=ORDERS, reason="staff")
    with pytest.raises(NotAllowed):
        halt_keys(by=alice, owner=alice, level=NONE, reason="mine")
    assert halt_keys(by=alice, owner=alice, level=SIGNING, reason="tighter") == 1
    assert halt(key) == SIGNING


def test_revoked_keys_are_not_counted(alice, key):
    revoke_key(key=key, by=alice, reason="test")
    assert halt_keys(by=None, level=SIGNING, reason="test") == 0


def test_g17_a_halt_leaves_one_event(alice, key):
    halt_keys(by=alice, key=key, level=SIGNING, reason="I saw a strange order")
    event = AuditEvent.objects.get(tag="halt.set")
    assert (event.actor, event.subject, event.key) == (alice.pk, alice.pk, key.pk)
    assert "strange order" in event.data
