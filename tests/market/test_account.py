from collections.abc import Iterator
from typing import Any

import pytest

from accounts.errors import KeyHalted, NotAllowed, PermissionMissing
from accounts.halts import halt_keys
from accounts.models import ApiKey, HaltLevel
from market import account
from market.bitfinex.errors import Rejected, Unreadable
from market.client import RestClient
from tests.factories import make_user
from tests.market.test_client import OpenLimiter, Server, client_for, http

READS: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "wallets": ({}, "wallets", {"wallets"}),
    "open_orders": ({}, "orders", {"orders", "history"}),
    "order_history": ({"start": 1, "end": 2, "limit": 3}, "orders/hist", {"orders", "history"}),
    "order_trades": (
        {"symbol": "tBTCUSD", "order_id": 5},
        "order/tBTCUSD:5/trades",
        {"orders", "history"},
    ),
    "trades": ({"symbol": "tBTCUSD"}, "trades/tBTCUSD/hist", {"orders", "history"}),
    "positions": ({}, "positions", {"positions"}),
    "margin_info": ({}, "info/margin/base", {"positions", "wallets"}),
    "pair_margin": ({"symbol": "tBTCUSD"}, "info/margin/tBTCUSD", {"positions", "wallets"}),
    "user_info": ({}, "info/user", {"account"}),
    "key_permissions": ({}, "permissions", set()),
    "ledgers": ({"currency": "USD", "category": 51}, "ledgers/USD/hist", {"history", "wallets"}),
}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def limiter() -> OpenLimiter:
    return OpenLimiter()


@pytest.fixture(autouse=True)
def here(
    server: Server, limiter: OpenLimiter, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RestClient]:
    """The process's client, talking to the scripted server."""
    with server.running() as address:
        rest_client = client_for(address, limiter)
        monkeypatch.setattr(account, "client", lambda: rest_client)
        yield rest_client


def with_scopes(key: ApiKey, *scopes: str) -> ApiKey:
    key.scopes = {scope: ["read"] for scope in scopes}
    return key


def ask(name: str, key: ApiKey, user: Any = None) -> Any:
    fields, _, _ = READS[name]
    return getattr(account, name)(user=user or key.owner, key=key, **fields)


def test_an_owner_reads_his_wallets_in_the_lane_of_reads(
    server: Server, limiter: OpenLimiter, signing_key: ApiKey
):
    server.answers = [http("200 OK", b'[["exchange","UST",19788.6529257,0,19788.6529257]]')]
    [wallet] = account.wallets(user=signing_key.owner, key=with_scopes(signing_key, "wallets"))
    assert (wallet.currency, str(wallet.available)) == ("UST", "19788.6529257")
    assert limiter.acquired == [("auth/r/wallets", "read", signing_key.owner_id)]


@pytest.mark.parametrize("name", READS)
def test_each_read_is_one_signed_call_that_any_of_its_scopes_opens(
    name: str, server: Server, signing_key: ApiKey
):
    _, path, scopes = READS[name]
    for scope in scopes or {"settings"}:
        server.answers = [http("500 Error", b'["error",10001,"seen"]')]
        with pytest.raises(Rejected, match="seen"):
            ask(name, with_scopes(signing_key, scope))
    assert {asked.split(" ")[1] for asked in server.asked} == {f"/v2/auth/r/{path}"}


@pytest.mark.parametrize("name", [name for name, (_, _, scopes) in READS.items() if scopes])
def test_without_such_a_scope_nothing_is_sent(name: str, server: Server, signing_key: ApiKey):
    others = {"account", "history", "orders", "positions", "wallets"} - READS[name][2]
    with pytest.raises(PermissionMissing) as caught:
        ask(name, with_scopes(signing_key, *others))
    assert (caught.value.access, caught.value.scope in READS[name][2]) == ("read", True)
    assert server.asked == []


@pytest.mark.parametrize("name", READS)
def test_bob_reads_nothing_with_the_key_of_alice(name: str, server: Server, signing_key: ApiKey):
    with pytest.raises(NotAllowed):
        ask(name, with_scopes(signing_key, *READS[name][2]), make_user("bob"))
    assert server.asked == []


def test_charlie_of_the_staff_does_not_either(server: Server, signing_key: ApiKey):
    charlie = make_user("charlie", is_staff=True)
    with pytest.raises(NotAllowed):
        account.wallets(user=charlie, key=with_scopes(signing_key, "wallets"))
    assert server.asked == []


def test_a_halted_key_reads_nothing(server: Server, signing_key: ApiKey):
    key = with_scopes(signing_key, "wallets")
    halt_keys(key=key, level=HaltLevel.SIGNING, by=key.owner, reason="lost laptop")
    with pytest.raises(KeyHalted):
        account.wallets(user=key.owner, key=key)
    assert server.asked == []


def test_part_of_an_account_is_not_shown(server: Server, signing_key: ApiKey):
    server.answers = [http("200 OK", b'[["exchange","USD",1,0,1],["exchange","BTC","?",0,1]]')] * 2
    with pytest.raises(Unreadable):
        account.wallets(user=signing_key.owner, key=with_scopes(signing_key, "wallets"))
