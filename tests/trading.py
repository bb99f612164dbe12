"""A key of Alice's at a sandbox exchange of the test's own, and the truth about its orders."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import requests

from accounts import keys
from accounts.models import ApiKey, User
from market import client, limiter
from market.models import OrderIntent
from market.orders import place_order
from tests import servers

TRADING = {
    "account": ["read"],
    "history": ["read"],
    "orders": ["read", "write"],
    "positions": ["read"],
    "wallets": ["read"],
}
QUICK = {"window": 2, "rates": {"other": 200, "tickers": 200}}
SYMBOL = "tBTCUSD"
LISTED = "tBTCUSD,tBTCUST,tETHBTC,tETHUSD,tLTCUSD,tLTCUST,tBTCF0:USTF0,fUSD"
"""A small market starts in a fraction of the time."""
SUBMIT = "auth/w/order/submit"


@dataclass
class Desk:
    """`key` is armed. Amounts are small, and the price rests far below the market."""

    exchange: servers.Exchange
    key: ApiKey
    name: str

    @property
    def owner(self) -> User:
        return self.key.owner

    def place(self, **given: Any) -> OrderIntent:
        usual: dict[str, Any] = {
            "symbol": SYMBOL,
            "side": "buy",
            "order_type": "EXCHANGE LIMIT",
            "amount": Decimal("0.01"),
            "price": Decimal(20_000),
        }
        return place_order(user=self.owner, key=self.key, **(usual | given))

    def orders(self) -> list[dict[str, Any]]:
        """Every order of the account, as the exchange has it; amounts as text."""
        url = f"{self.exchange.control}/orders?user=you"
        found: list[dict[str, Any]] = requests.get(url, timeout=5).json()["orders"]
        return found

    def cids(self, *, active: bool | None = None) -> list[int]:
        found = self.orders()
        return [each["cid"] for each in found if active in (None, each["active"])]

    def arrivals(self) -> list[dict[str, Any]]:
        """The signed calls of this key, oldest first."""
        url = f"{self.exchange.control}/arrivals?key={self.name}"
        found: list[dict[str, Any]] = requests.get(url, timeout=5).json()["arrivals"]
        return found

    def sent(self, path: str) -> list[dict[str, Any]]:
        return [each for each in self.arrivals() if each["path"] == path]

    def delete_key(self) -> None:
        requests.delete(f"{self.exchange.control}/keys/{self.name}", timeout=5).raise_for_status()


@pytest.fixture
def open_desk(
    settings: Any, signing_key: ApiKey, start_exchange: Callable[..., servers.Exchange]
) -> Iterator[Callable[..., Desk]]:
    """`open_desk(rates={…})`; `signing_key` has set up the vault."""

    def start(rates: dict[str, Any] = QUICK, **permissions: list[str]) -> Desk:
        exchange = start_exchange("--symbols", LISTED, BFX_RATES=json.dumps(rates))
        settings.BFX_PUBLIC_REST_URL = settings.BFX_REST_URL = exchange.url
        settings.BFX_RATES = rates
        settings.KEY_EXCHANGE_BACKEND = "market.key_backend.BitfinexKeys"
        client.client.cache_clear()
        wanted = {"permissions": permissions or TRADING}
        made = requests.post(f"{exchange.control}/keys", json=wanted, timeout=5).json()
        pair = {"api_key": made["key"], "api_secret": made["secret"]}
        key = keys.add_key(user=signing_key.owner, label="desk", **pair)
        return Desk(exchange, keys.arm_key(key=key, by=key.owner), made["key"])

    yield start
    client.client.cache_clear()
    limiter._limiter.cache_clear()


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    """With faster limits than the documented ones."""
    return open_desk()
