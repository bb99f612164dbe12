from decimal import Decimal
from typing import Any

import pytest

from market.bitfinex import account, rest
from market.bitfinex.account import MAX_ROWS, Order, Wallet
from market.bitfinex.errors import Unreadable
from market.limits import OTHER, RATES
from tests.market.bitfinex.answers import notified, row


@pytest.mark.parametrize(
    ("request_", "path", "scope", "body"),
    [
        (account.wallets(), "wallets", "wallets", "{}"),
        (account.open_orders(), "orders", "orders", "{}"),
        (account.open_orders("tTESTBTC:TESTUSD"), "orders/tTESTBTC:TESTUSD", "orders", "{}"),
        (account.orders_hist(), "orders/hist", "orders", '{"limit":250}'),
        (
            account.orders_hist("tBTCUSD", ids=[5, 6], start=0, end=9, limit=MAX_ROWS),
            "orders/tBTCUSD/hist",
            "orders",
            '{"id":[5,6],"start":0,"end":9,"limit":2500}',
        ),
        (account.order_trades("tAVAX:USD", 5), "order/tAVAX:USD:5/trades", "order", "{}"),
        (account.trades_hist(start=3), "trades/hist", "trades", '{"start":3,"limit":250}'),
        (account.trades_hist("tBTCUSD", limit=1), "trades/tBTCUSD/hist", "trades", '{"limit":1}'),
        (account.positions(), "positions", "positions", "{}"),
        (account.margin_base(), "info/margin/base", "info/margin", "{}"),
        (account.margin_symbol("tBTCUSD"), "info/margin/tBTCUSD", "info/margin", "{}"),
        (account.user_info(), "info/user", "info/user", "{}"),
        (account.permissions(), "permissions", "permissions", "{}"),
        (account.ledgers(), "ledgers/hist", "ledgers", '{"limit":250}'),
        (
            account.ledgers("USD", category=51, end=9),
            "ledgers/USD/hist",
            "ledgers",
            '{"category":51,"end":9,"limit":250}',
        ),
    ],
)
def test_a_read_has_a_path_a_budget_and_a_body(
    request_: rest.Request[Any], path: str, scope: str, body: str
):
    assert (request_.path, request_.scope) == (f"auth/r/{path}", f"auth/r/{scope}")
    assert (request_.method, request_.host, request_.body) == ("POST", "auth", body)


def test_no_read_draws_on_a_budget_below_the_documented_ninety():
    assert RATES[OTHER] == 90
    assert not {"auth/r/orders", "auth/r/order", "auth/r/trades"} & set(RATES)


@pytest.mark.parametrize(
    "build",
    [
        lambda: account.open_orders("fUSD"),
        lambda: account.open_orders("tBTCUSD/../x"),
        lambda: account.orders_hist("btcusd"),
        lambda: account.orders_hist(ids=[0]),
        lambda: account.orders_hist(ids=["5"]),  # type: ignore[list-item]
        lambda: account.orders_hist(start=-1),
        lambda: account.orders_hist(end=1.5),  # type: ignore[arg-type]
        lambda: account.orders_hist(limit=0),
        lambda: account.trades_hist(limit=MAX_ROWS + 1),
        lambda: account.order_trades("", 5),
        lambda: account.order_trades("tBTCUSD", True),
        lambda: account.margin_symbol(""),
        lambda: account.ledgers("usd"),
        lambda: account.ledgers("USD/../x"),
        lambda: account.ledgers(category=0),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is_signed(build: Any):
    with pytest.raises(ValueError, match=": "):
        build()


def test_permissions_are_read_by_position_and_appended_fields_ignored():
    rows = rest.parse(account.permissions(), 200, b'[["orders",1,0,null],["withdraw",0,1]]')
    assert [(row.scope, row.read, row.write) for row in rows] == [
        ("orders", 1, 0),
        ("withdraw", 0, 1),
    ]


def orders(*rows: str) -> list[Order]:
    return rest.parse(account.open_orders(), 200, f"[{','.join(rows)}]".encode())


FULL = (
    '[5,"1227",7,"tBTCUSD",1,2,-3.8e-7,-47.914412330000005,"LIMIT",null,3,null,"64","ACTIVE",'
    'null,null,0.1,null,0,0,null,null,null,0,null,null,null,null,"API>BFX",null,null,'
    '{"lev":10,"x":0.1}%s]'
)


def test_an_order_keeps_its_digits_and_takes_whole_numbers_that_come_as_text():
    [order] = orders(FULL % "")
    assert (order.amount, order.amount_orig) == (Decimal("-3.8E-7"), Decimal("-47.914412330000005"))
    assert (order.gid, order.flags, order.hidden) == (1227, 64, None)
    assert order.meta == {"lev": 10, "x": Decimal("0.1")}
    assert (order.side, order.filled) == ("sell", Decimal("-47.914411950000005"))


def test_an_order_of_26_fields_and_one_with_appended_fields_are_orders_too():
    old = FULL.split(',null,null,"API')[0]
    short, long = orders(f"{old}]", FULL % ',null,"new"')
    assert (short.routing, short.meta) == (None, None)
    assert (long.id, long.routing) == (5, "API>BFX")


@pytest.mark.parametrize(
    "change",
    [
        ("5,", "null,"),
        ("5,", "5.5,"),
        ('"tBTCUSD"', "null"),
        ("-3.8e-7", "null"),
        ("-3.8e-7", '"NaN"'),
        ("-3.8e-7", "1e999"),
        ('"64"', '"sixty-four"'),
        ('"ACTIVE"', "1"),
        (",2,", ',"soon",'),
    ],
)
def test_one_bad_row_makes_the_whole_answer_unreadable(change: tuple[str, str]):
    with pytest.raises(Unreadable):
        orders(FULL % "", (FULL % "").replace(*change, 1))


@pytest.mark.parametrize("body", [b"{}", b"[", b"[1]", b"[[]]", b'"x"', b"null", b""])
def test_an_answer_of_another_shape_is_unreadable(body: bytes):
    requests: list[rest.Request[Any]] = [
        account.wallets(),
        account.user_info(),
        account.margin_base(),
    ]
    for request in requests:
        with pytest.raises(Unreadable):
            rest.parse(request, 200, body)


def test_a_wallet_of_a_first_frame_says_nothing_of_what_is_available():
    [wallet] = rest.parse(account.wallets(), 200, b'[["margin","USD",1826.56468323,0,null]]')
    assert wallet == Wallet("margin", "USD", Decimal("1826.56468323"), Decimal(0), None)


def test_margin_is_taken_out_of_its_envelope():
    base = rest.parse(account.margin_base(), 200, b'["base",[-13.014640000000007,0,2,3]]')
    assert (base.profit_loss, base.minimum) == (Decimal("-13.014640000000007"), None)
    symbol = rest.parse(
        account.margin_symbol("tBTCUSD"), 200, b'["sym","tBTCUSD",[1,2,3.5,4,null],"new"]'
    )
    assert (symbol.tradable, symbol.buy) == (Decimal(1), Decimal("3.5"))
    with pytest.raises(Unreadable):
        rest.parse(account.margin_base(), 200, b'["sym","tBTCUSD",[1,2,3.5,4]]')


def test_a_notification_keeps_its_data_as_it_came():
    read = account.decoder(account.Notification)
    answer = read(notified("on-req", [row()], "ERROR", "amount: invalid"))
    assert bytes(answer.data).startswith(b"[[33950998275")
    assert (answer.type, answer.status, answer.text) == ("on-req", "ERROR", "amount: invalid")
