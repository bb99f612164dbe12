from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.serializers.json import DjangoJSONEncoder

from accounts.models import ApiKey
from accounts.privacy import delete_account, personal_data
from market import intents
from market.bitfinex.orders import NewOrder
from market.models import OrderIntent, OrderState, OrderTally
from tests.factories import make_user

ORDER = NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal("0.01"), Decimal(20_000))


@pytest.fixture
def intent(signing_key: ApiKey) -> OrderIntent:
    make_user("charlie", is_staff=True)
    return intents.record(
        user=signing_key.owner,
        key=signing_key,
        order=ORDER,
        value=Decimal(200),
        price_seen=None,
        wait=timedelta(seconds=10),
    )


def test_a_person_is_given_the_orders_he_confirmed(intent: OrderIntent):
    [told] = personal_data(intent.owner)["orders"]
    assert (told["cid"], told["state"]) == (intent.cid, "intent")
    assert "20000" in DjangoJSONEncoder().encode(told)
    OrderIntent.objects.update(state=OrderState.PREVIEW)
    assert personal_data(intent.owner)["orders"] == []  # only reviewed


def test_with_an_account_its_orders_are_erased(intent: OrderIntent):
    delete_account(user=intent.owner)
    assert not OrderIntent.objects.exists()
    assert not OrderTally.objects.exists()
