"""A key of the sandbox exchange, from the vault through signer and client to its answer."""

import time
from typing import Any

import pytest
import requests

from accounts import keys, signing, verdicts
from accounts.errors import KeyRefused
from accounts.exchange import Burnt
from accounts.models import ApiKey, KeyState, User
from market import key_backend
from market.bitfinex import account
from market.client import RestClient
from market.conf import Exchange
from market.limiter import Limiter
from market.limits import read_rates
from tests import servers

READING = {"account": ["read"], "orders": ["read", "write"], "wallets": ["read"]}


@pytest.fixture
def signed_client(
    settings: Any,
    signing_key: ApiKey,
    exchange_server: servers.Exchange,
    monkeypatch: pytest.MonkeyPatch,
) -> RestClient:
    """The process's client, talking to the sandbox; `signing_key` has set up the vault."""
    at = exchange_server
    here = Exchange("sandbox", at.url, at.url, at.ws_url, at.ws_url, "test")
    client = RestClient(here, Limiter("test", read_rates({})))
    monkeypatch.setattr(key_backend, "client", lambda: client)
    settings.KEY_EXCHANGE_BACKEND = "market.key_backend.BitfinexKeys"
    return client


def issue(at: servers.Exchange, **permissions: list[str]) -> dict[str, Any]:
    answer = requests.post(f"{at.control}/keys", json={"permissions": permissions}, timeout=5)
    answer.raise_for_status()
    return {"api_key": answer.json()["key"], "api_secret": answer.json()["secret"]}


@pytest.fixture
def owner(signing_key: ApiKey) -> User:
    return signing_key.owner


def test_a_key_becomes_usable_with_the_scopes_that_the_exchange_names(
    signed_client: RestClient, exchange_server: servers.Exchange, owner: User
):
    key = keys.add_key(user=owner, label="sandbox", **issue(exchange_server, **READING))
    assert key.state == KeyState.USABLE
    assert key.permissions.allows("orders", "write")
    assert not key.permissions.allows("wallets", "write")


def test_a_key_that_may_withdraw_is_refused(
    signed_client: RestClient, exchange_server: servers.Exchange, owner: User
):
    pair = issue(exchange_server, **READING, withdraw=["write"])
    with pytest.raises(KeyRefused) as caught:
        keys.add_key(user=owner, label="sandbox", **pair)
    assert caught.value.reason == "withdraw"


def test_a_wrong_secret_is_refused_in_the_exchanges_words(
    signed_client: RestClient, exchange_server: servers.Exchange, owner: User
):
    pair = issue(exchange_server, **READING) | {"api_secret": "s" * 43}
    with pytest.raises(KeyRefused) as caught:
        keys.add_key(user=owner, label="sandbox", **pair)
    assert caught.value.reason == "rejected"
    assert "digest" in caught.value.detail


def test_a_key_deleted_at_the_exchange_is_noticed(
    signed_client: RestClient, exchange_server: servers.Exchange, owner: User
):
    pair = issue(exchange_server, **READING)
    key = keys.add_key(user=owner, label="sandbox", **pair)
    requests.delete(f"{exchange_server.control}/keys/{pair['api_key']}", timeout=5)
    assert verdicts.check_key(key=key).state == KeyState.REJECTED


def test_a_key_that_another_program_uses_recovers_by_itself(
    signed_client: RestClient, exchange_server: servers.Exchange, owner: User
):
    pair = issue(exchange_server, **READING)
    key = keys.add_key(user=owner, label="sandbox", **pair)
    hour_ahead = key.last_nonce + 3_600_000_000
    address = f"{exchange_server.control}/keys/{pair['api_key']}"
    requests.patch(address, json={"nonce": hour_ahead}, timeout=5).raise_for_status()
    assert signed_client.call(account.permissions(), key)
    key.refresh_from_db()
    assert key.last_nonce > hour_ahead


def foreign(at: servers.Exchange, pair: dict[str, Any], nonce: int) -> requests.Response:
    """A call of another program that has the same key."""
    path = "/v2/auth/r/wallets"
    payload = signing.rest_payload(path, nonce, b"{}")
    headers = {
        "bfx-apikey": pair["api_key"],
        "bfx-nonce": str(nonce),
        "bfx-signature": signing.sign(pair["api_secret"], payload),
        "content-type": "application/json",
    }
    return requests.post(f"{at.url}{path}", data=b"{}", headers=headers, timeout=5)


def test_after_a_burning_the_exchange_takes_nothing_of_this_key_from_anybody(
    signed_client: RestClient, exchange_server: servers.Exchange, owner: User
):
    pair = issue(exchange_server, **READING)
    key = keys.add_key(user=owner, label="sandbox", **pair)
    assert foreign(exchange_server, pair, time.time_ns() // 1000 + 1_000_000).ok
    done = keys.revoke_key(key=key, by=owner, reason="leaked", burn=True)
    assert done.burnt == Burnt()
    for nonce in (time.time_ns() // 1000 + 2_000_000, signing.MAX_NONCE - 1, signing.MAX_NONCE):
        answer = foreign(exchange_server, pair, nonce)
        assert (answer.status_code, answer.json()[1]) == (500, 10114)
