"""Told after the commit, with the key and its owner, and nothing secret."""

import pytest

from accounts import keys, signals
from accounts.errors import KeyRefused
from accounts.models import HaltLevel

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ("key_added", "key_changed", "key_revoked")  # those of people: test_privacy


@pytest.fixture
def told(request):
    heard: list[tuple[str, dict[str, object]]] = []
    receivers = []
    for name in NAMES:

        def receive(name=name, **sent):
            heard.append((name, {word: sent[word] for word in sent if word not in {"signal"}}))

        receivers.append(receive)
        getattr(signals, name).connect(receive, weak=False)
    yield heard
    for name, receive in zip(NAMES, receivers, strict=True):
        getattr(signals, name).disconnect(receive)


def test_the_life_of_a_key_is_told(told, alice, add_key):
    key = add_key(alice)
    keys.arm_key(key=key, by=alice)
    keys.halt_keys(by=alice, owner=alice, level=HaltLevel.ORDERS, reason="test")
    keys.revoke_key(key=key, by=alice, reason="test")
    names = [name for name, _ in told]
    assert names == ["key_changed", "key_added", "key_changed", "key_changed", "key_revoked"]
    assert all((sent["key"], sent["owner"]) == (key.pk, alice.pk) for _, sent in told)


def test_a_second_revocation_is_not_told(told, alice, key):
    keys.revoke_key(key=key, by=alice, reason="test")
    keys.revoke_key(key=key, by=alice, reason="again")
    assert [name for name, _ in told].count("key_revoked") == 1


def test_a_key_that_is_refused_is_not_told_as_added(told, alice, add_key, exchange):
    exchange.rows.append(("withdraw", 1, 1))
    with pytest.raises(KeyRefused):
        add_key(alice)
    assert "key_added" not in [name for name, _ in told]
