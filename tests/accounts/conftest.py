"""A master key of the test's own, a fake exchange behind the port, and Alice's key."""

import secrets
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts import keys, master_key
from accounts.models import ApiKey, User
from market import client, intents
from market.bitfinex.orders import NewOrder
from market.models import OrderIntent, OrderState
from tests.accounts import fakes
from tests.accounts.routes_roles import INTENT


@pytest.fixture(autouse=True)
def ring_file(settings: Any, tmp_path: Path) -> Path:
    """The ring of this test: version 1."""
    path = tmp_path / "keys" / "master_key"
    settings.BFX_MASTER_KEY_FILE = settings.MASTER_KEY_MADE = path
    settings.BFX_MASTER_KEY = ""
    master_key.write(path, master_key.line(1, secrets.token_bytes(32)), replace=False)
    return path


@pytest.fixture(autouse=True)
def exchange(settings: Any) -> Iterator[fakes.FakeExchange]:
    settings.KEY_EXCHANGE_BACKEND = "tests.accounts.fakes.current"
    fakes.CURRENT.append(fakes.FakeExchange())
    yield fakes.CURRENT[-1]
    fakes.CURRENT.pop()


@pytest.fixture
def add_key() -> Callable[..., ApiKey]:
    """`add_key(alice)`: a usable key with a random name and secret."""

    def add(user: User, **changes: object) -> ApiKey:
        texts = {"api_key": fakes.new_text(), "api_secret": fakes.new_text()}
        fields: dict[str, Any] = {"label": "main", **texts, **changes}
        return keys.add_key(user=user, **fields)

    return add


@pytest.fixture
def key(alice: User, add_key: Callable[..., ApiKey]) -> ApiKey:
    """Alice's key: usable, not armed."""
    return add_key(alice)


@pytest.fixture(autouse=True)
def exchange_away(settings: Any) -> Iterator[None]:
    """Pages that ask the exchange itself find nobody there."""
    settings.BFX_PUBLIC_REST_URL = settings.BFX_REST_URL = "http://127.0.0.1:1"
    client.client.cache_clear()
    yield
    client.client.cache_clear()


@pytest.fixture
def intent(key: ApiKey) -> OrderIntent:
    """An order that Alice has not confirmed yet."""
    order = NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal("0.01"), Decimal(20_000))
    return OrderIntent.objects.create(
        uuid=INTENT,
        owner=key.owner,
        key=key,
        state=OrderState.PREVIEW,
        symbol=order.symbol,
        order_text=intents.order_text(order),
        value_micros=200_000_000,
        created_at=timezone.now(),
    )


@pytest.fixture
def armed(key: ApiKey, alice: User) -> ApiKey:
    return keys.arm_key(key=key, by=alice)
