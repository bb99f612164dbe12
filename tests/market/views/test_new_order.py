"""From the ticket to the order at the exchange, as the owner's browser meets it."""

import re
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import keys
from market.background import Background, background
from market.models import OrderIntent, OrderState
from market.quotes import Source
from market.resolver import settle_due
from tests.trading import SUBMIT, SYMBOL

NEW = "/orders/new/"
EVIL = "<script>alert(1)</script>"


def text(answer):
    return answer.content.decode()


def preview(browser, fields):
    answer = browser.post(NEW, fields)
    assert answer.status_code == 302, text(answer)
    return answer["Location"]


def place(browser, fields, **confirmed):
    """The page of the order, after the one click."""
    answer = browser.post(preview(browser, fields), confirmed)
    assert answer.status_code == 302, text(answer)
    return answer["Location"]


def test_an_order_is_reviewed_and_then_placed_as_shown(alice_browser, desk, ticket):
    where = preview(alice_browser, ticket())
    shown = text(alice_browser.get(where))
    assert "EXCHANGE LIMIT" in shown
    assert "39,000 USD" in shown
    assert "390 USD" in shown
    assert desk.orders() == []
    answer = alice_browser.post(where)
    intent = OrderIntent.objects.get()
    assert answer["Location"] == reverse("market:order", args=[intent.pk])
    assert "Accepted" in text(alice_browser.get(answer["Location"]))
    [order] = desk.orders()
    assert (order["cid"], order["price"]) == (intent.cid, "39000")
    assert Decimal(order["amount"]) == Decimal("0.01")


def test_the_review_takes_nothing_but_its_address(alice_browser, desk, ticket):
    where = preview(alice_browser, ticket())
    alice_browser.post(where, ticket(amount="9", side="sell", price="1"))
    [order] = desk.orders()
    assert (order["price"], Decimal(order["amount"])) == ("39000", Decimal("0.01"))


def test_the_back_button_and_a_resend_lead_to_the_one_order(alice_browser, desk, ticket):
    where = preview(alice_browser, ticket())
    first, second = alice_browser.post(where), alice_browser.post(where)
    assert first["Location"] == second["Location"] == alice_browser.get(where)["Location"]
    assert len(desk.orders()) == len(desk.sent(SUBMIT)) == 1


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_review_older_than_a_minute_leads_back_with_everything_kept(
    alice_browser, desk, ticket, method
):
    where = preview(alice_browser, ticket(amount="0.0123", hidden="on"))
    old = timezone.now() - timedelta(seconds=61)
    OrderIntent.objects.update(created_at=old)
    answer = getattr(alice_browser, method)(where)
    page = text(alice_browser.get(answer["Location"]))
    assert "prices have moved on" in page
    assert 'value="0.0123"' in page
    assert re.search(r'<input[^>]*name="hidden"[^>]* checked', page)
    assert desk.orders() == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"amount": "0"}, "More than nothing"),
    ({"amount": "1e5"}, "plain number"),
    ({"amount": "-1"}, "plain number"),
    ({"amount": ""}, "required"),
    ({"amount": "0.123456789"}, "8 decimals"),
    ({"price": "39000.5"}, "39000 or 39001"),
    ({"price": None}, "needs a price"),
    ({"order_type": "EXCHANGE MARKET"}, "no use for a price"),
    ({"symbol": "../auth"}, "Not a pair"),
    ({"symbol": "fUSD"}, "Not a pair"),
    ({"side": "steal"}, "valid choice"),
    ({"order_type": "GIFT"}, "valid choice"),
    ({"key": "someone"}, "valid choice"),
    ({"reduce_only": "on"}, "margin orders"),
    ({"leverage": "10"}, "derivatives"),
    ({"oco": "on"}, "needs a stop of the other"),
    ({"tif": "2020-01-01T00:00"}, "has passed"),
    ({"price": "99000"}, "beyond the last one"),
    ({"amount": "10"}, "the policy of this key allows 50,000 USD"),
    ({"symbol": "tXYZUSD"}, "No price of tXYZUSD"),
]


def test_what_cannot_be_ordered_is_said_at_once(alice_browser, desk, ticket):
    silent = []
    for wrong, words in WRONG:
        answer = alice_browser.post(NEW, ticket(**wrong))
        if answer.status_code != 200 or words not in text(answer):
            silent.append((wrong, words))
    assert silent == []
    assert not OrderIntent.objects.exists()
    assert desk.sent(SUBMIT) == []


def test_a_price_far_off_wants_the_amount_again(alice_browser, desk, ticket):
    where = preview(alice_browser, ticket(price="42100"))
    assert "5.25%" in text(alice_browser.get(where))
    for typed in ({}, {"amount_again": "0.1"}):
        assert alice_browser.post(where, typed).status_code == 200
    assert desk.orders() == []
    assert alice_browser.post(where, {"amount_again": "0.01"}).status_code == 302
    assert len(desk.orders()) == 1


@pytest.mark.parametrize(
    ("market_is", "words"),
    [
        ({"age": 12.0}, "12s old"),
        ({"age": 12.0, "source": Source.STALE}, "its source is silent"),
    ],
)
def test_an_old_price_wants_to_be_known(alice_browser, desk, ticket, prices, market_is, words):
    prices(**market_is, tBTCUSD=40_000)
    where = preview(alice_browser, ticket())
    assert words in text(alice_browser.get(where))
    assert alice_browser.post(where).status_code == 200
    assert desk.orders() == []
    assert alice_browser.post(where, {"aware": "on"}).status_code == 302
    assert len(desk.orders()) == 1


def test_a_lost_reply_is_checked_and_never_offered_again(alice_browser, desk, ticket):
    desk.exchange.fault(kind="lost", endpoint=SUBMIT)
    where = place(alice_browser, ticket())
    page = text(alice_browser.get(where))
    assert "Checking with Bitfinex" in page
    assert "Do not place it a second time" in page
    assert 'http-equiv="refresh"' in page
    assert "not settled yet" in text(alice_browser.get(f"{NEW}?symbol={SYMBOL}"))
    settle_due()
    state = alice_browser.get(f"{where}state/").json()
    assert (state["state"], state["settled"]) == (OrderState.ACCEPTED, True)
    assert "refresh" not in text(alice_browser.get(where))
    assert len(desk.orders()) == len(desk.sent(SUBMIT)) == 1


def test_a_refusal_is_in_the_exchange_s_words_and_never_code(alice_browser, desk, ticket):
    desk.exchange.fault(kind="error", code=10001, text=EVIL, endpoint=SUBMIT)
    where = place(alice_browser, ticket())
    page = text(alice_browser.get(where))
    assert "Refused" in page
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Back to the ticket" in page


def test_a_slow_exchange_does_not_hold_the_page(alice_browser, desk, ticket):
    desk.exchange.fault(kind="slow", seconds=4, endpoint=SUBMIT)
    where = place(alice_browser, ticket())
    assert alice_browser.get(f"{where}state/").json()["state"] == OrderState.SENDING
    assert background().drain(10) == 0
    assert alice_browser.get(f"{where}state/").json()["state"] == OrderState.ACCEPTED


def test_a_full_server_sends_nothing_and_says_so(alice_browser, desk, ticket, monkeypatch):
    where = preview(alice_browser, ticket())
    monkeypatch.setattr("market.views.new_order.background", lambda: Background(workers=0))
    assert "this server is busy" in text(alice_browser.post(where))
    assert OrderIntent.objects.get().state == OrderState.PREVIEW
    assert desk.sent(SUBMIT) == []


def test_an_order_that_takes_long_to_record_is_not_called_placed(
    alice_browser, desk, ticket, monkeypatch
):
    where = preview(alice_browser, ticket())
    module = "market.views.new_order"
    for name, seconds in {
        "ANSWER_SECONDS": 0.05,
        "LOOK_SECONDS": 0.05,
        "RECORD_SECONDS": 0.2,
    }.items():
        monkeypatch.setattr(f"{module}.{name}", seconds)
    monkeypatch.setattr(f"{module}.confirm_order", lambda **given: time.sleep(0.6))
    answer = alice_browser.post(where, follow=True)
    assert "This takes long" in text(answer)
    assert "Place order" in text(answer)
    assert background().drain(5) == 0


def test_a_key_disarmed_meanwhile_is_said_with_what_to_do(alice_browser, desk, ticket):
    where = preview(alice_browser, ticket())
    keys.disarm_key(key=desk.key, by=desk.owner, reason="test")
    page = text(alice_browser.post(where))
    assert "is not armed" in page
    assert reverse("accounts:arm_key", args=[desk.key.pk]) in page
    assert desk.orders() == []


def test_without_an_armed_key_the_ticket_says_how_to_arm_one(alice_browser, desk):
    keys.disarm_key(key=desk.key, by=desk.owner, reason="test")
    page = text(alice_browser.get(NEW))
    assert reverse("accounts:arm_key", args=[desk.key.pk]) in page


def test_somebody_without_keys_is_led_to_add_one(bob_browser, prices):
    assert reverse("accounts:add_key") in text(bob_browser.get(NEW))


def test_bob_meets_nothing_of_alice_s_orders(alice_browser, bob_browser, desk, ticket):
    where = preview(alice_browser, ticket())
    pk = OrderIntent.objects.get().pk
    for name in ("review", "order", "order_state"):
        assert bob_browser.get(reverse(f"market:{name}", args=[pk])).status_code == 404
    assert bob_browser.post(where).status_code == 404
    assert "39000" not in text(bob_browser.get(f"{NEW}?from={pk}"))
    assert "not one of the available choices" in text(bob_browser.post(NEW, ticket()))
    assert OrderIntent.objects.get().state == OrderState.PREVIEW


def test_the_ticket_starts_from_the_address(alice_browser, desk):
    page = text(alice_browser.get(f"{NEW}?symbol=tETHUSD&side=sell&key={desk.key.pk}"))
    assert 'value="tETHUSD"' in page
    assert re.search(r'<input[^>]*value="sell"[^>]* checked', page)
    assert "2000" in page


def test_a_page_of_an_order_is_kept_by_no_cache(alice_browser, ticket):
    answer = alice_browser.get(place(alice_browser, ticket()))
    assert "no-store" in answer["Cache-Control"]
