"""Every account read and order call against the sandbox exchange, from the vault to its books."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests

from accounts import keys
from accounts.models import ApiKey
from market import account, key_backend
from market.bitfinex import orders
from market.bitfinex.errors import NoReply, RateLimited, Rejected
from market.bitfinex.orders import ORDER_TYPES, Flag, NewOrder, order_state
from market.bitfinex.rest import Request
from market.client import RestClient
from market.conf import Exchange
from market.limiter import Limiter
from market.limits import Lane, read_rates
from tests import servers

SCOPES = ("account", "history", "orders", "positions", "wallets")


class Trader:
    """Alice with a key of the sandbox, which is armed."""

    def __init__(self, client: RestClient, key: ApiKey, control: str) -> None:
        self.client, self.key, self.control = client, key, control
        self.me: dict[str, Any] = {"user": key.owner, "key": key}

    def send(self, request: Request[Any], lane: Lane = "place") -> Any:
        return self.client.call(request, self.key, lane=lane)

    def place(self, cid: int, **changed: Any) -> Any:
        wanted: dict[str, Any] = {
            "symbol": "tBTCUSD",
            "side": "buy",
            "order_type": "EXCHANGE LIMIT",
            "amount": Decimal("0.01"),
            "price": Decimal(1000),
        }
        return self.send(orders.submit(NewOrder(**(wanted | changed)), cid))


@pytest.fixture
def trader(
    settings: Any,
    signing_key: ApiKey,
    exchange_server: servers.Exchange,
    monkeypatch: pytest.MonkeyPatch,
) -> Trader:
    at = exchange_server
    here = Exchange("sandbox", at.url, at.url, at.ws_url, at.ws_url, "test")
    client = RestClient(here, Limiter("test", read_rates({})))
    for module in (account, key_backend):
        monkeypatch.setattr(module, "client", lambda: client)
    settings.KEY_EXCHANGE_BACKEND = "market.key_backend.BitfinexKeys"
    permissions = {scope: ["read", "write"] for scope in SCOPES}
    made = requests.post(f"{at.control}/keys", json={"permissions": permissions}, timeout=5).json()
    pair = {"api_key": made["key"], "api_secret": made["secret"]}
    key = keys.add_key(user=signing_key.owner, label="sandbox", **pair)
    return Trader(client, keys.arm_key(key=key, by=key.owner), at.control)


def test_every_read_tells_what_the_exchange_holds(trader: Trader):
    me = trader.me
    before = {(w.type, w.currency): w.balance for w in account.wallets(**me)}
    [bought] = trader.place(1, order_type="EXCHANGE MARKET", price=None)
    [waiting] = trader.place(2)
    [ended] = account.order_history(**me)
    assert (ended.id, ended.cid, order_state(ended.status)) == (bought.id, 1, "executed")
    [fill, *_] = fills = account.order_trades(**me, symbol="tBTCUSD", order_id=bought.id)
    assert sum(one.amount for one in fills) == ended.filled == Decimal("0.01")
    assert account.trades(**me, symbol="tBTCUSD", limit=1)[0].id == fill.id
    assert [order.id for order in account.open_orders(**me)] == [waiting.id]
    assert account.open_orders(**me, symbol="tETHUSD") == []
    after = {(w.type, w.currency): w.balance for w in account.wallets(**me)}
    fees = sum(one.fee for one in fills if one.fee)
    coins = ("exchange", "BTC")
    assert after[coins] - before.get(coins, Decimal(0)) == Decimal("0.01") + fees
    assert sum(entry.amount for entry in account.ledgers(**me, currency="BTC")) == (
        Decimal("0.01") + fees
    )
    assert {row.scope for row in account.key_permissions(**me) if row.read} == set(SCOPES)
    assert account.user_info(**me).id


def test_margin_reads_tell_of_a_position(trader: Trader):
    trader.place(1, order_type="MARKET", price=None, side="sell")
    [position] = account.positions(**trader.me)
    assert (position.symbol, position.amount) == ("tBTCUSD", Decimal("-0.01"))
    assert account.margin_info(**trader.me).net > 0
    assert account.pair_margin(**trader.me, symbol="tBTCUSD").tradable > 0


def test_an_order_is_changed_and_ended_in_every_way(trader: Trader):
    day = datetime.now(UTC).date()
    placed = {cid: trader.place(cid)[0].id for cid in range(1, 6)}
    changed = trader.send(orders.update(placed[1], amount=Decimal("0.02"), price=Decimal("999.5")))
    assert changed.id == placed[1]
    now = {order.cid: order for order in account.open_orders(**trader.me)}
    assert (now[1].amount, now[1].price) == (Decimal("0.02"), Decimal("999.5"))
    for request in (
        orders.cancel(placed[1]),
        orders.cancel_by_cid(2, day),
        orders.cancel_many(ids=[placed[3]], cids=[(4, day)]),
        orders.cancel_all(),
    ):
        trader.send(request, "cancel")
    assert account.open_orders(**trader.me) == []
    history = {order.cid: order for order in account.order_history(**trader.me)}
    assert {order_state(order.status) for order in history.values()} == {"canceled"}
    assert set(history) == set(placed)


PRICES: dict[str, dict[str, Decimal | None]] = {
    "MARKET": {"price": None},
    "STOP": {"price": Decimal(900_000)},
    "STOP LIMIT": {"price": Decimal(900_000), "price_aux_limit": Decimal(900_010)},
    "TRAILING STOP": {"price": None, "price_trailing": Decimal(900_000)},
    "FOK": {"price": Decimal(900_000)},
    "IOC": {"price": Decimal(900_000)},
}


def test_the_exchange_takes_all_fourteen_types_as_they_are_spelled(trader: Trader):
    for cid, order_type in enumerate(ORDER_TYPES, 1):
        prices = PRICES.get(order_type.removeprefix("EXCHANGE "), {})
        [order] = trader.place(cid, order_type=order_type, **prices)
        assert (order.cid, order.type_prev or order.type) == (cid, order_type)


def test_both_halves_of_an_oco_are_told(trader: Trader):
    first, second = trader.place(
        1, flags=Flag.OCO | Flag.HIDDEN, price_oco_stop=Decimal(900_000), side="buy"
    )
    assert (first.cid, first.type) == (1, "EXCHANGE LIMIT")
    assert second.type == "EXCHANGE STOP"
    assert len(account.open_orders(**trader.me)) == 2


def test_a_refused_order_is_a_refusal_and_a_lost_one_is_not(trader: Trader):
    with pytest.raises(Rejected):
        trader.place(1, amount=Decimal(900_000))
    fault = {"kind": "lost", "endpoint": "auth/w/order/submit"}
    requests.post(f"{trader.control}/faults", json=fault, timeout=5).raise_for_status()
    with pytest.raises(NoReply):
        trader.place(2)
    assert [order.cid for order in account.open_orders(**trader.me)] == [2]


def test_a_read_whose_reply_is_lost_is_asked_once_more(trader: Trader):
    fault = {"kind": "lost", "endpoint": "auth/r/wallets"}
    requests.post(f"{trader.control}/faults", json=fault, timeout=5).raise_for_status()
    assert account.wallets(**trader.me)


def test_a_forced_rate_limit_is_told_as_one(trader: Trader):
    fault = {"kind": "rate_limit", "form": "11010"}
    requests.post(f"{trader.control}/faults", json=fault, timeout=5).raise_for_status()
    with pytest.raises(RateLimited):
        account.wallets(**trader.me)
