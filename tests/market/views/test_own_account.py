"""Wallets, positions and history of one account, as the sandbox exchange has them."""

import csv
import io
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEvent
from market.bitfinex.account import Wallet
from market.orders import cancel_order
from market.rates import Price
from market.views.own_account import PAGE_ROWS, by_type, total_usd
from tests.accounts.sessions import browser_of, give_factor
from tests.trading import SYMBOL

PRICES = {
    "tBTCUSD": Price(None, None, Decimal(40_000)),
    "tTESTBTC:TESTUSD": Price(None, None, Decimal(1)),
}


def text(answer):
    return answer.content.decode()


def wallet(kind, currency, balance):
    return Wallet(kind, currency, Decimal(balance), None, Decimal(balance))


def of(desk, path):
    return f"{path}?key={desk.key.pk}"


def test_wallets_are_sorted_by_kind_and_worth():
    rows = [
        wallet("margin", "USD", "5"), wallet("exchange", "USD", "1000.123456789"),
        wallet("exchange", "BTC", "-0.5"), wallet("exchange", "ETH", "0"),
        wallet("exchange", "TESTUSD", "9999"), wallet("exchange", "XYZ", "3"),
    ]  # fmt: skip
    exchange, margin = by_type(rows, PRICES)
    assert (exchange[0], margin[0]) == ("Exchange", "Margin")
    shown = [(each.currency, each.balance, each.usd) for each in exchange[1]]
    assert shown[:2] == [("BTC", "−0.5", "-20,000.00"), ("USD", "1,000.123456789", "1,000.12")]
    assert {row[0]: row[2] for row in shown[2:]} == {"TESTUSD": "–", "XYZ": "–"}
    assert total_usd(rows, PRICES) == "-18,994.88"


def test_the_page_shows_wallets_positions_and_margin(alice_browser, desk):
    page = text(alice_browser.get(of(desk, "/wallets/")))
    for words in ("Exchange", "Bitcoin", "No open positions", "Net value"):
        assert words in page


@pytest.mark.parametrize(("side", "word"), [("buy", "long"), ("sell", "short")])
def test_a_position_is_shown_with_its_side(alice_browser, desk, side, word):
    desk.place(price=None, order_type="MARKET", side=side, amount=Decimal("0.02"))
    page = text(alice_browser.get(of(desk, "/wallets/")))
    row = page.partition(f'data-position="{SYMBOL}"')[2].partition("</tr>")[0]
    assert word in row
    assert ">0.02<" in row


def test_a_key_without_the_permission_says_so(open_desk, prices):
    desk = open_desk(orders=["read", "write"])
    browser = browser_of(desk.owner, proof="mfa")
    give_factor(desk.owner)
    page = text(browser.get(of(desk, "/wallets/")))
    assert "may not read wallets" in page
    assert "may not read positions" in page


def test_closed_orders_and_trades_are_listed(alice_browser, desk):
    bought = desk.place(price=None, order_type="EXCHANGE MARKET", amount=Decimal("0.02"))
    intent = desk.place()
    cancel_order(user=desk.owner, key=desk.key, order_id=intent.order_id)
    page = text(alice_browser.get(of(desk, "/orders/history/")))
    assert (
        f'data-order-id="{intent.order_id}" data-cid="{intent.cid}" data-state="canceled"' in page
    )
    assert f'data-order-id="{bought.order_id}"' in page
    trades = text(alice_browser.get(of(desk, "/orders/trades/")))
    fills = re.findall(r'data-label="Amount">([0-9.]+)<', trades)
    assert sum(map(Decimal, fills)) == Decimal("0.02")
    assert "Nothing yet in tETHUSD" in text(
        alice_browser.get(f"{of(desk, '/orders/trades/')}&symbol=tETHUSD")
    )
    assert "Not a pair" in text(alice_browser.get(f"{of(desk, '/orders/trades/')}&symbol=x"))


def test_an_export_has_every_digit_and_leaves_its_event(alice_browser, desk):
    intent = desk.place(amount=Decimal("0.01230000"))
    cancel_order(user=desk.owner, key=desk.key, order_id=intent.order_id)
    answer = alice_browser.get(of(desk, "/orders/history.csv"))
    assert answer["Content-Type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(text(answer), newline=""))
    assert (row["order_id"], row["client_id"]) == (str(intent.order_id), str(intent.cid))
    assert Decimal(row["amount"]) == Decimal("0.0123")
    assert row["created_utc"].endswith("+00:00")
    assert AuditEvent.objects.filter(tag="account.data_exported", key=desk.key.pk).count() == 1


def test_trades_are_exported_too(alice_browser, desk):
    desk.place(price=None, order_type="EXCHANGE MARKET", side="sell", amount=Decimal("0.02"))
    answer = alice_browser.get(of(desk, "/orders/trades.csv"))
    rows = list(csv.DictReader(io.StringIO(text(answer), newline="")))
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("-0.02")
    assert {row["symbol"] for row in rows} == {SYMBOL}
    assert AuditEvent.objects.filter(tag="account.data_exported").count() == 1


def test_an_export_wants_a_fresh_proof(desk, alice_browser):
    old = browser_of(desk.owner, proof="mfa", age=301)
    for name in ("history.csv", "trades.csv"):
        assert "/account/confirm/" in old.get(f"/orders/{name}")["Location"]


def test_the_exchange_away_is_said(alice_browser, desk):
    desk.exchange.stop()
    for path in ("/wallets/", "/orders/history/", "/orders/trades/"):
        assert "cannot be reached" in text(alice_browser.get(of(desk, path)))
    assert alice_browser.get(of(desk, "/orders/history.csv")).status_code == 302


def test_without_a_key_there_is_a_way_to_one(bob_browser):
    for path in ("/wallets/", "/orders/history/", "/orders/trades/", "/orders/"):
        assert "/keys/add/" in text(bob_browser.get(path))


def test_bob_sees_his_own_whatever_key_he_names(bob_browser, desk):
    desk.place()
    for path in ("/wallets/", "/orders/history/", "/orders/"):
        assert "You have no usable key" in text(bob_browser.get(of(desk, path)))


@pytest.mark.parametrize("path", ["/orders/history/", "/wallets/"])
def test_more_rows_need_no_more_queries(alice_browser, desk, path):
    def queries():
        with CaptureQueriesContext(connection) as done:
            alice_browser.get(of(desk, path))
        return len(done)

    def close_one():
        done = desk.place()
        cancel_order(user=desk.owner, key=desk.key, order_id=done.order_id)

    close_one()
    queries()
    few = queries()
    for _ in range(3):
        close_one()
    assert queries() == few


def test_a_long_history_has_pages_of_time(alice_browser, desk):
    for _ in range(PAGE_ROWS + 2):
        done = desk.place()
        cancel_order(user=desk.owner, key=desk.key, order_id=done.order_id)
    first = text(alice_browser.get(f"{of(desk, '/orders/history/')}&symbol={SYMBOL}"))
    assert first.count("data-order-id") == PAGE_ROWS
    older = first.partition('href="?key=')[2].partition('"')[0].replace("&amp;", "&")
    second = text(alice_browser.get(f"/orders/history/?key={older}"))
    assert second.count("data-order-id") == 2
    assert "Newest" in second
