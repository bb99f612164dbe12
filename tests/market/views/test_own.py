import pytest
from django.http import Http404
from django.utils import timezone

from accounts import keys
from accounts.models import HaltLevel
from market.models import OrderIntent, OrderState
from market.views.own import armed_keys, in_doubt, own_intent, readable_keys
from tests.factories import make_user


@pytest.fixture
def intent(signing_key):
    return OrderIntent.objects.create(
        owner=signing_key.owner,
        key=signing_key,
        state=OrderState.UNKNOWN,
        symbol="tBTCUSD",
        order_text="{}",
        value_micros=0,
        created_at=timezone.now(),
    )


def test_an_order_is_its_owner_s_alone(rf, intent):
    request = rf.get("/")
    request.user = intent.owner
    assert own_intent(request, intent.pk) == intent
    request.user = make_user("charlie", is_staff=True)
    with pytest.raises(Http404):
        own_intent(request, intent.pk)


def test_only_armed_keys_that_are_not_halted_may_place(signing_key):
    owner = signing_key.owner
    assert armed_keys(owner) == readable_keys(owner) == [signing_key]
    keys.halt_keys(by=owner, owner=owner, level=HaltLevel.ORDERS, reason="test")
    assert (armed_keys(owner), readable_keys(owner)) == ([], [signing_key])
    keys.halt_keys(by=owner, owner=owner, level=HaltLevel.NONE, reason="test")
    keys.disarm_key(key=signing_key, by=owner, reason="test")
    assert (armed_keys(owner), readable_keys(owner)) == ([], [signing_key])
    keys.revoke_key(key=signing_key, by=owner, reason="test")
    assert readable_keys(owner) == []


def test_doubts_are_of_one_pair(intent):
    assert in_doubt(intent.owner, "tBTCUSD") == [intent]
    assert in_doubt(intent.owner, "tETHUSD") == []
