import json
from pathlib import Path
from typing import Any

import pytest

from market.sandbox.calls import Permissions
from market.sandbox.house import House
from market.sandbox.key_page import page
from tests.market.sandbox.accounts import START, Customer, signed


def sample(recordings: Path, name: str) -> Any:
    text = (recordings / "rest/bitfinex.net_endpoint_samples.jsonl").read_text()
    lines = (json.loads(line) for line in text.splitlines())
    return next(line["response"] for line in lines if line["name"].endswith(name))


def test_permissions_are_those_the_key_was_given(house: House, recordings: Path) -> None:
    given: Permissions = {"orders": ["read", "write"], "wallets": ["read"]}
    customer = Customer(house, house.keys.issue("", "you", given, START))

    rows = customer.ask("auth/r/permissions")
    assert [row[0] for row in rows] == [r[0] for r in sample(recordings, "GetApiKeyPermissions")]
    assert {row[0]: row[1:] for row in rows if any(row[1:])} == {
        "orders": [1, 1], "wallets": [1, 0],
    }  # fmt: skip


def test_wallets_have_the_documented_layout(alice: Customer, recordings: Path) -> None:
    rows = alice.ask("auth/r/wallets")

    assert {len(row) for row in rows} == {len(sample(recordings, "GetBalances")[0])}
    assert ["exchange", "BTC", 10, 0, 10, None, None] in rows
    assert any(row[1].startswith("TEST") for row in rows)


def test_a_wallet_says_what_changed_it(alice: Customer, recordings: Path) -> None:
    alice.submit("0.01", type="EXCHANGE MARKET")
    row = next(row for row in alice.ask("auth/r/wallets") if row[:2] == ["exchange", "USD"])

    assert row[5].startswith("Exchange 0.01 BTC for USD @ 50")
    theirs = sample(recordings, "GetBalances")[0][6]
    assert row[6].keys() & theirs.keys() >= {"reason", "order_id", "trade_price", "trade_amount"}


def test_the_user_has_the_documented_layout(alice: Customer, recordings: Path) -> None:
    row, theirs = alice.ask("auth/r/info/user"), sample(recordings, "GetUserInfo")

    assert len(row) == len(theirs)
    assert [type(row[place]) for place in (0, 1, 2, 3, 44)] == [int, str, str, int, str]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("auth/r/orders", "GetOpenOrders"),
        ("auth/r/orders/tBTCUSD", "GetOpenOrders"),
        ("auth/r/orders/hist", "GetClosedOrders"),
        ("auth/r/orders/tBTCUSD/hist", "GetClosedOrders"),
        ("auth/r/trades/hist", "GetUserTrades"),
        ("auth/r/trades/tBTCUSD/hist", "GetUserTrades"),
        ("auth/r/ledgers/hist", "GetLedgerEntries"),
        ("auth/r/ledgers/USD/hist", "GetLedgerEntries"),
        ("auth/r/positions", "GetPositions"),
        ("auth/r/positions/snap", "GetPositionSnapshots"),
        ("auth/r/info/margin/tBTCUSD", "GetSymbolMarginInfo"),
        ("auth/r/info/margin/base", "GetBaseMarginInfo"),
        ("auth/r/summary", "Get30DaySummaryAndFees"),
    ],
)
def test_lists_have_the_documented_layout(
    alice: Customer, recordings: Path, path: str, name: str
) -> None:
    alice.submit("0.01", type="EXCHANGE MARKET")
    alice.submit("0.01", type="MARKET")
    alice.submit("0.01", 40000)
    ours, theirs = alice.ask(path), sample(recordings, name)

    rows = ours if isinstance(ours[0], list) else [ours]
    row = theirs[0] if isinstance(theirs[0], list) else theirs
    assert rows
    assert {len(each) for each in rows} == {len(row)}
    known = [p for p in range(len(row)) if row[p] is not None and rows[0][p] is not None]
    for place in known:
        pair = (rows[0][place], row[place])
        kinds = {float if isinstance(v, int | float) else type(v) for v in pair}
        assert len(kinds) == 1 or (place, row[place]) in ((1, "1227"), (12, "0"))


def test_my_trades_look_like_the_recorded_one(alice: Customer, recordings: Path) -> None:
    text = (recordings / "rest/2022-2024_ccxt_recorded_responses.jsonl").read_text()
    lines = (json.loads(line) for line in text.splitlines())
    theirs = next(line["response"][0] for line in lines if line["name"] == "my trades")
    number = alice.submit("-0.01", type="EXCHANGE MARKET")[0]

    (row,) = alice.ask("auth/r/trades/hist")
    assert [type(value) for value in row[1:4]] == [type(value) for value in theirs[1:4]]
    assert (row[6], row[8], row[10]) == (theirs[6], theirs[8], "USD")
    assert row[9] == pytest.approx(theirs[9] / (theirs[4] * theirs[5]) * row[4] * row[5])
    (of_order,) = alice.ask(f"auth/r/order/tBTCUSD:{number}/trades")
    assert of_order == [*row[:6], None, None, *row[8:]]
    assert alice.ask("auth/r/order/tBTCUSD:5/trades") == []


def test_ledgers_add_up(alice: Customer) -> None:
    alice.submit("-0.01", type="EXCHANGE MARKET")

    fee, price = alice.ask("auth/r/ledgers/USD/hist")
    assert alice.wallet("USD")[0] == pytest.approx(fee[6])
    assert price[6] + fee[5] == pytest.approx(fee[6])
    assert fee[8].startswith("Trading fees for -0.01 BTC (BTCUSD) @ ")
    assert fee[8].endswith(" on BFX (0.2%) on wallet exchange")
    assert alice.ask("auth/r/ledgers/USD/hist", category=201) == [fee]


def test_histories_are_cut_and_sorted_as_asked(alice: Customer) -> None:
    numbers = []
    for _ in range(30):
        alice.clock += 1
        numbers.append(alice.submit("0.01", 60000)[0])
    path = "auth/r/orders/hist"

    assert [row[0] for row in alice.ask(path)] == numbers[:4:-1], "25 unless told"
    assert len(alice.ask(path, limit=2500)) == 30
    last = alice.row(numbers[-1])[5]
    assert len(alice.ask(path, start=last - 2000)) == 3
    assert [r[0] for r in alice.ask(path, end=last - 28_000)] == numbers[1::-1]
    assert [row[0] for row in alice.ask(path, id=numbers[:2])] == numbers[1::-1]
    assert alice.ask("auth/r/trades/hist", sort=1, limit=1)[0][3] == numbers[0]
    for limit in (0, 2501, "x"):
        assert alice.error(path, limit=limit) == (10020, "limit: invalid")


def test_nobody_sees_anothers_orders(alice: Customer, bob: Customer) -> None:
    number = alice.submit("0.1", 40000)[0]

    assert bob.ask("auth/r/orders") == []
    assert bob.ask("auth/r/orders", id=[number]) == []
    assert bob.error("auth/w/order/cancel", id=number) == (10001, "Order not found.")
    assert alice.ask("auth/r/orders", id=[number])[0][0] == number
    assert alice.ask("auth/r/orders/tETHUSD") == []


def test_new_orders_can_be_late_in_the_lists(alice: Customer, house: House) -> None:
    house.faults.start("lag", {"seconds": 3})
    alice.submit("0.1", 40000)

    assert alice.ask("auth/r/orders") == []
    alice.clock += 3
    assert len(alice.ask("auth/r/orders")) == 1
    house.faults.stop()
    assert house.orders.lag == 0


def test_what_can_be_bought_and_sold_is_told(alice: Customer) -> None:
    def available(kind: str, direction: int) -> float:
        path, body = "auth/calc/order/avail", {"symbol": "tBTCUSD", "type": kind}
        return float(alice.ask(path, **body, dir=direction)[0])

    assert available("EXCHANGE", 1) == pytest.approx(2, rel=0.01)
    assert available("EXCHANGE", -1) == -10
    assert available("MARGIN", 1) > 2


def test_money_moves_between_wallets(alice: Customer, recordings: Path) -> None:
    path, body = "auth/w/transfer", {"from": "exchange", "to": "trading", "currency": "USD"}
    answer, theirs = alice.ask(path, **body, amount="1000"), sample(recordings, "WalletTransfer")

    assert [len(part) for part in (answer, answer[4])] == [len(theirs), len(theirs[4])]
    assert answer[4][1:3] == ["exchange", "margin"]
    assert (alice.wallet("USD")[0], alice.wallet("USD", "margin")[0]) == (99_000, 101_000)
    assert "available balance is only" in alice.error(path, **body, amount="99001")[1]
    for change in ({"from": "x"}, {"amount": "-1"}, {"currency_to": "EUR"}):
        assert alice.error(path, **{**body, "amount": "1", **change})[1].endswith("invalid")
    becomes = {**body, "currency": "UST", "currency_to": "USTF0", "amount": "5"}
    alice.ask(path, **becomes)
    assert alice.wallet("USTF0", "margin")[0] == 50_005


def test_a_missing_permission_is_said(house: House) -> None:
    customer = Customer(house, house.keys.issue("", "you", {"orders": ["read"]}, START))

    for path in ("auth/r/wallets", "auth/w/order/submit", "auth/w/transfer"):
        assert customer.error(path) == (10001, "api_key: permission invalid")


@pytest.mark.parametrize("body", ["[]", "{", "5", '"x"'])
def test_a_body_that_is_no_object_is_refused(alice: Customer, body: str) -> None:
    call = signed(alice.key, "auth/r/wallets", body)

    reply = alice.house.account.answer("POST", call, body.encode(), START)
    assert (reply.status, reply.body) == (500, '["error",10020,"body: invalid"]')


@pytest.mark.parametrize(
    "path",
    ["auth/r/nope", "auth/r/wallets/nope", "auth/r/permissions/x", "auth/r/orders/tBTCUSD/x",
     "auth/r/trades", "auth/r/ledgers", "auth/r/positions/x", "auth/r/order/tBTCUSD:5"],
)  # fmt: skip
def test_an_unknown_path_is_an_html_404(alice: Customer, path: str) -> None:
    reply = alice.call(path)

    assert (reply.status, reply.content_type) == (404, "text/html")
    assert f"Cannot POST /api/v2/{path}" in reply.body


@pytest.mark.parametrize("path", ["auth/r/movements/hist", "auth/r/logins/hist"])
def test_what_does_not_happen_here_is_empty(alice: Customer, path: str) -> None:
    assert alice.ask(path) == []


def test_account_calls_are_posts(alice: Customer) -> None:
    assert alice.call("auth/r/wallets", method="GET").status == 404
    assert alice.key.requests == 0


def test_the_key_page_shows_a_secret_only_for_a_fresh_key(house: House, alice: Customer) -> None:
    key = alice.key
    key.label = "<b>bot</b>"

    assert key.secret in page(house.keys.all(), key)
    later = page(house.keys.all())
    assert key.secret not in later
    assert "&lt;b&gt;bot" in later
    assert "<b>bot" not in later
    assert "There are none yet" in page([])
