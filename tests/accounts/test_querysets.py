from django.contrib.auth.models import AnonymousUser

from accounts import keys
from accounts.models import ApiKey, KeyState


def test_g11_people_see_their_own_keys_only(alice, bob, charlie, key):
    assert list(ApiKey.objects.of(alice)) == [key]
    for other in (bob, charlie, AnonymousUser()):
        assert not ApiKey.objects.of(other)


def test_usable_keys_are_confirmed_and_living(alice, add_key, key):
    revoked, rejected = add_key(alice), add_key(alice)
    keys.revoke_key(key=revoked, by=alice, reason="test")
    ApiKey.objects.filter(pk=rejected.pk).update(state=KeyState.REJECTED)
    assert list(ApiKey.objects.usable()) == [key]


def test_keys_of_another_exchange_are_not_usable_here(settings, key):
    settings.BFX_EXCHANGE = "live"
    assert not ApiKey.objects.usable()
    assert not ApiKey.objects.here()
