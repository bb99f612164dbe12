"""Open orders as the exchange has them: seen, changed, cancelled from the page."""

from decimal import Decimal

import pytest
import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import keys
from accounts.models import HaltLevel
from market.orders import Change, place_order
from tests.trading import SUBMIT, Desk

PAGE = "/orders/"


def text(answer):
    return answer.content.decode()


def page_after(browser, answer):
    """The page that a form leads to."""
    assert answer.status_code == 302, text(answer)
    return text(browser.get(answer["Location"]))


def edit_address(desk: Desk, order_id):
    return reverse("market:edit_order", args=[desk.key.pk, order_id])


def placed_elsewhere(desk: Desk):
    """By another program with another key of the same account."""
    wanted = {"permissions": {"orders": ["read", "write"]}, "label": "other"}
    made = requests.post(f"{desk.exchange.control}/keys", json=wanted, timeout=5).json()
    key = keys.add_key(
        user=desk.owner, label="other", api_key=made["key"], api_secret=made["secret"]
    )
    key = keys.arm_key(key=key, by=desk.owner)
    return place_order(
        user=desk.owner, key=key, symbol="tBTCUSD", side="sell", order_type="EXCHANGE LIMIT",
        amount=Decimal("0.03"), price=Decimal(90_000),
    )  # fmt: skip


def test_an_open_order_is_a_row_with_its_names(alice_browser, desk):
    intent = desk.place()
    page = text(alice_browser.get(PAGE))
    assert f'data-order-id="{intent.order_id}" data-cid="{intent.cid}" data-state="active"' in page
    assert "placed here" in page
    assert edit_address(desk, intent.order_id) in page


def test_no_orders_is_said_with_the_way_to_one(alice_browser, desk):
    page = text(alice_browser.get(f"{PAGE}?key={desk.key.pk}"))
    assert "No open orders with desk" in page
    assert "Nothing yet." in page


def test_one_is_cancelled_by_its_button(alice_browser, desk):
    intent, other = desk.place(), desk.place()
    one = {"one": f"{desk.key.pk}:{intent.order_id}"}
    page = page_after(alice_browser, alice_browser.post("/orders/cancel/", one))
    assert "Bitfinex has taken the cancel: 1 order." in page
    assert desk.cids(active=True) == [other.cid]
    page = page_after(alice_browser, alice_browser.post("/orders/cancel/", one))
    assert "not open any more" in page


def test_those_that_are_chosen_are_cancelled_together(alice_browser, desk):
    placed = [desk.place() for _ in range(3)]
    chosen = [f"{desk.key.pk}:{each.order_id}" for each in placed[:2]]
    page = page_after(alice_browser, alice_browser.post("/orders/cancel/", {"order": chosen}))
    assert "2 orders" in page
    assert desk.cids(active=True) == [placed[2].cid]


@pytest.mark.parametrize("fields", [{}, {"one": "nonsense"}, {"order": ["a:b", ":"]}])
def test_nothing_chosen_cancels_nothing(alice_browser, desk, fields):
    desk.place()
    page = page_after(alice_browser, alice_browser.post("/orders/cancel/", fields))
    assert "nothing was cancelled" in page
    assert len(desk.cids(active=True)) == 1


def test_cancel_all_wants_its_words(alice_browser, desk):
    desk.place()
    answer = alice_browser.post("/orders/cancel-all/", {"words": "yes"})
    assert "Type exactly CANCEL ALL" in text(answer)
    assert len(desk.cids(active=True)) == 1
    page_after(alice_browser, alice_browser.post("/orders/cancel-all/", {"words": "CANCEL ALL"}))
    assert desk.cids(active=True) == []


def test_cancels_pass_while_orders_are_halted(alice_browser, desk):
    intent = desk.place()
    keys.halt_keys(by=desk.owner, owner=desk.owner, level=HaltLevel.ORDERS, reason="test")
    one = {"one": f"{desk.key.pk}:{intent.order_id}"}
    assert "1 order" in page_after(alice_browser, alice_browser.post("/orders/cancel/", one))
    assert desk.cids(active=True) == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "error", "code": 10001, "text": "order: locked"}, "refused it: order: locked"),
        ({"kind": "lost", "before": True, "times": 3}, "may have reached Bitfinex"),
    ],
)
def test_a_cancel_that_fails_is_told_truly(alice_browser, desk, fault, words):
    intent = desk.place()
    desk.exchange.fault(**fault, endpoint="auth/w/order/cancel")
    one = {"one": f"{desk.key.pk}:{intent.order_id}"}
    assert words in page_after(alice_browser, alice_browser.post("/orders/cancel/", one))
    assert desk.cids(active=True) == [intent.cid]


def test_nothing_is_cancelled_while_all_signing_is_halted(alice_browser, desk):
    intent = desk.place()
    keys.halt_keys(by=desk.owner, owner=desk.owner, level=HaltLevel.SIGNING, reason="test")
    for path, fields in (
        ("/orders/cancel/", {"one": f"{desk.key.pk}:{intent.order_id}"}),
        ("/orders/cancel-all/", {"words": "CANCEL ALL"}),
    ):
        page = page_after(alice_browser, alice_browser.post(path, fields))
        assert "Not cancelled" in page
        assert "is halted" in page
    assert desk.cids(active=True) == [intent.cid]


def test_an_order_cannot_be_edited_without_the_exchange(alice_browser, desk):
    intent = desk.place()
    desk.exchange.stop()
    assert "cannot be reached" in text(alice_browser.get(edit_address(desk, intent.order_id)))


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (Change("gone", reason="It ended."), "Not changed. It ended."),
        (Change("unknown", reason="No answer."), "Nobody can say yet whether it is changed"),
        (Change("refused", reason="Too small."), "Not changed. Too small."),
        (Change("unchanged", reason="Try it again."), "Not changed. Try it again."),
    ],
)
def test_every_end_of_a_change_has_its_words(alice_browser, desk, monkeypatch, done, words):
    monkeypatch.setattr("market.views.open_orders.update_order", lambda **given: done)
    where = edit_address(desk, desk.place().order_id)
    fields = {"amount": "0.02", "price": "21000"}
    shown = text(alice_browser.post(where, fields))
    fields["seen"] = shown.partition('name="seen" value="')[2].partition('"')[0]
    assert words in text(alice_browser.post(where, fields, follow=True))


def test_a_change_is_shown_before_it_is_made(alice_browser, desk):
    intent = desk.place()
    where = edit_address(desk, intent.order_id)
    assert 'value="20000"' in text(alice_browser.get(where))
    fields = {"amount": "0.02", "price": "21000"}
    shown = text(alice_browser.post(where, fields))
    assert "20,000" in shown
    assert "21,000" in shown
    assert Decimal(desk.orders()[0]["price"]) == 20_000
    seen = shown.partition('name="seen" value="')[2].partition('"')[0]
    page = page_after(alice_browser, alice_browser.post(where, {**fields, "seen": seen}))
    assert "The order is changed." in page
    [order] = desk.orders()
    assert Decimal(order["price"]) == 21_000
    assert Decimal(order["amount"]) == Decimal("0.02")


def test_a_change_of_an_order_that_moved_is_shown_again(alice_browser, desk):
    intent = desk.place()
    where = edit_address(desk, intent.order_id)
    answer = alice_browser.post(where, {"amount": "0.02", "price": "21000", "seen": "1"})
    assert "has moved since" in text(answer)
    assert Decimal(desk.orders()[0]["price"]) == 20_000


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"amount": "0.01", "price": "20000"}, "Nothing is changed"),
        ({"amount": "0", "price": "20000"}, "More than nothing"),
        ({"amount": "0.01", "price": ""}, "plain number"),
        ({"amount": "0.01", "price": "20000.55"}, "20000 or 20001"),
    ],
)
def test_a_change_that_cannot_be_is_refused(alice_browser, desk, fields, words):
    where = edit_address(desk, desk.place().order_id)
    assert words in text(alice_browser.post(where, fields))


def test_a_change_to_a_price_far_off_wants_the_amount_again(alice_browser, desk):
    where = edit_address(desk, desk.place().order_id)
    fields = {"amount": "0.02", "price": "42100"}
    shown = text(alice_browser.post(where, fields))
    assert "more than 5 % worse" in shown
    fields["seen"] = shown.partition('name="seen" value="')[2].partition('"')[0]
    assert alice_browser.post(where, fields).status_code == 200
    assert alice_browser.post(where, {**fields, "amount_again": "0.01"}).status_code == 200
    assert Decimal(desk.orders()[0]["price"]) == 20_000
    assert alice_browser.post(where, {**fields, "amount_again": "0.02"}).status_code == 302
    assert Decimal(desk.orders()[0]["price"]) == 42_100


def test_a_change_keeps_to_the_policy(alice_browser, desk):
    where = edit_address(desk, desk.place().order_id)
    fields = {"amount": "2", "price": "38000"}
    shown = text(alice_browser.post(where, fields))
    seen = shown.partition('name="seen" value="')[2].partition('"')[0]
    assert "the policy of this key allows" in text(
        alice_browser.post(where, {**fields, "seen": seen})
    )
    assert Decimal(desk.orders()[0]["amount"]) == Decimal("0.01")


def test_an_order_that_is_gone_cannot_be_edited(alice_browser, desk):
    page = page_after(alice_browser, alice_browser.get(edit_address(desk, 12345)))
    assert "not open any more" in page


def test_an_order_of_elsewhere_is_listed_once_and_named_so(alice_browser, desk):
    other = placed_elsewhere(desk)
    other.delete()
    page = text(alice_browser.get(PAGE))
    assert page.count(f'data-order-id="{other.order_id}"') == 1
    assert "elsewhere" in page


def test_orders_in_doubt_come_first(alice_browser, desk):
    desk.exchange.fault(kind="lost", endpoint=SUBMIT)
    intent = desk.place(follow=0.0)
    page = text(alice_browser.get(PAGE))
    assert page.index("Not settled yet") < page.index("Open at Bitfinex")
    assert f'data-cid="{intent.cid}" data-state="unknown"' in page


def test_without_the_exchange_the_page_shows_what_is_recorded(alice_browser, desk):
    intent = desk.place()
    desk.exchange.stop()
    page = text(alice_browser.get(PAGE))
    assert "cannot be reached" in page
    assert str(intent.pk) in page


def test_a_block_is_said_with_its_end(alice_browser, desk):
    desk.exchange.fault(kind="rate_limit", endpoint="auth/r/orders", block=False)
    assert "Free again in" in text(alice_browser.get(f"{PAGE}?key={desk.key.pk}"))


def test_the_page_knows_when_to_look_again(alice_browser, desk):
    before = alice_browser.get("/orders/states/").json()["marks"]
    assert f'data-marks="{before}"' in text(alice_browser.get(PAGE))
    desk.place()
    assert alice_browser.get("/orders/states/").json()["marks"] != before


def test_bob_cancels_and_edits_nothing_of_alice_s(bob_browser, desk):
    intent = desk.place()
    one = {"one": f"{desk.key.pk}:{intent.order_id}"}
    assert bob_browser.post("/orders/cancel/", one).status_code == 404
    assert bob_browser.get(edit_address(desk, intent.order_id)).status_code == 404
    assert str(intent.order_id) not in text(bob_browser.get(PAGE))
    bob_browser.post("/orders/cancel-all/", {"words": "CANCEL ALL"})
    assert desk.cids(active=True) == [intent.cid]


def test_more_orders_need_no_more_queries(alice_browser, desk):
    def queries():
        with CaptureQueriesContext(connection) as done:
            alice_browser.get(f"{PAGE}?key={desk.key.pk}")
        return len(done)

    desk.place()
    queries()
    few = queries()
    for _ in range(4):
        desk.place()
    assert queries() == few
