import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from accounts import keys
from accounts.access import own_key


def test_the_owner_gets_his_key(rf, alice, key):
    request = rf.get("/")
    request.user = alice
    assert own_key(request, key.pk) == key
    keys.revoke_key(key=key, by=alice, reason="test")
    assert own_key(request, key.pk).is_revoked


def test_g11_for_everybody_else_it_does_not_exist(rf, bob, charlie, key):
    request = rf.get("/")
    for person in (bob, charlie, AnonymousUser()):
        request.user = person
        with pytest.raises(Http404):
            own_key(request, key.pk)
