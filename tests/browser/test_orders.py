"""Orders in the browser against the real sandbox exchange: what the pages say is what is true."""

import re
import time
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.orders import SUBMIT, SYMBOL, Trader, start_trading

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=document.title=1><script>document.title=1</script>"


@pytest.fixture
def own_trader(page: Page, start_dashboard, exchange_server) -> Trader:
    """At a site of the test's own, which it takes down."""
    site = start_dashboard(exchange_server)
    site.wait_ready()
    return start_trading(page, site, exchange_server)


def test_place_see_it_open_edit_cancel_and_cancel_all(trader):
    page = trader.page
    price = trader.place()
    expect(trader.outcome()).to_have_attribute("data-state", "accepted")
    page.get_by_role("link", name="See my orders").click()
    [order] = trader.orders()
    row = trader.rows()
    expect(row).to_have_count(1)
    expect(row).to_have_attribute("data-order-id", str(order["id"]))
    expect(row).to_have_attribute("data-cid", str(order["cid"]))
    expect(row).to_have_attribute("data-state", "active")
    expect(row).to_contain_text("placed here")
    assert Decimal(order["price"]) == Decimal(price)

    cheaper = trader.resting("0.85")
    row.get_by_role("link", name="Edit").click()
    page.get_by_label("Price").fill(cheaper)
    page.get_by_label("Amount left").fill("0.02")
    page.get_by_role("button", name="Review change").click()
    expect(page.get_by_role("row", name="Price")).to_contain_text(f"{int(cheaper):,}")
    page.get_by_role("button", name="Change order").click()
    expect(page.get_by_text("The order is changed.")).to_be_visible()
    [changed] = trader.orders(active=True)
    assert (changed["id"], Decimal(changed["price"])) == (order["id"], Decimal(cheaper))
    assert Decimal(changed["amount"]) == Decimal("0.02")

    trader.rows().get_by_role("button", name="Cancel order").click()
    expect(page.get_by_text("Bitfinex has taken the cancel: 1 order.")).to_be_visible()
    assert trader.orders(active=True) == []

    for _ in range(3):
        trader.place()
    trader.open("/orders/")
    expect(trader.rows()).to_have_count(3)
    for box in page.get_by_role("checkbox").all()[:2]:
        box.check()
    page.get_by_role("button", name="Cancel chosen").click()
    expect(page.get_by_text("Bitfinex has taken the cancel: 2 orders.")).to_be_visible()
    expect(trader.rows()).to_have_count(1)
    page.get_by_role("link", name="Cancel all").click()
    page.get_by_label("Type CANCEL ALL").fill("CANCEL ALL")
    page.get_by_role("button", name="Cancel all").click()
    expect(page.get_by_text("Bitfinex has taken the cancel: 1 order.")).to_be_visible()
    assert trader.orders(active=True) == []
    expect(page.get_by_text("No open orders")).to_be_visible()


def test_a_lost_reply_is_checked_and_ends_in_the_truth(trader):
    page = trader.page
    trader.fill()
    trader.exchange.fault(kind="lag", seconds=3)
    trader.exchange.fault(kind="lost", endpoint=SUBMIT)
    trader.confirm()
    expect(trader.outcome()).to_have_attribute("data-state", "unknown")
    expect(page.get_by_text("Checking with Bitfinex")).to_be_visible()
    expect(page.get_by_text("Do not place it a second time")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("place|order", re.IGNORECASE))).to_have_count(
        0
    )
    expect(page.locator("[data-timer]")).to_have_text(re.compile(r"[1-9]\d* s"))
    page.context.new_page().close()
    expect(trader.outcome()).to_have_attribute("data-state", "accepted", timeout=20_000)
    [order] = trader.orders()
    expect(trader.outcome()).to_have_attribute("data-order-id", str(order["id"]))


def test_an_order_that_never_arrived_is_told_safe_to_place_again(trader):
    page = trader.page
    trader.fill()
    trader.exchange.fault(kind="lost", before=True, endpoint=SUBMIT)
    trader.confirm()
    expect(trader.outcome()).to_have_attribute("data-state", "not_placed", timeout=20_000)
    expect(page.get_by_text("It is safe to place it again.", exact=True)).to_be_visible()
    assert trader.orders() == []
    page.get_by_role("link", name="Back to the ticket").click()
    expect(page.get_by_label("Amount")).to_have_value("0.01")


def test_a_double_click_places_one_order(trader):
    trader.fill()
    trader.page.get_by_role("button", name="Place order").dblclick()
    expect(trader.outcome()).to_have_attribute("data-state", "accepted")
    trader.page.go_back()
    expect(trader.outcome()).to_have_attribute("data-state", "accepted")
    assert len(trader.orders()) == 1


def test_a_tab_closed_mid_order_changes_nothing(trader):
    page = trader.page
    other = page.context.new_page()
    trader.fill("0.0137")
    trader.exchange.fault(kind="slow", seconds=3, endpoint=SUBMIT)
    page.get_by_role("button", name="Place order").click(no_wait_after=True)
    time.sleep(0.5)
    page.close()
    trader.page = other
    trader.open("/orders/")
    attempt = other.locator("[data-state=sending], [data-outcome]").filter(has_text="0.0137")
    expect(attempt).to_have_count(1)
    done = other.locator("[data-outcome=accepted]").filter(has_text="0.0137")
    expect(done).to_have_count(1, timeout=30_000)
    assert len(trader.orders()) == 1


def test_words_of_the_exchange_are_shown_and_never_run(trader):
    page = trader.page
    trader.fill()
    trader.exchange.fault(kind="error", code=10001, text=EVIL, endpoint=SUBMIT)
    trader.confirm()
    expect(trader.outcome()).to_contain_text(EVIL)
    trader.open("/orders/")
    expect(page.get_by_text(EVIL).first).to_be_visible()
    assert "bfxdash" in page.title()


def test_a_review_runs_out_and_keeps_what_was_typed(trader):
    page = trader.page
    page.clock.install()
    price = trader.fill("0.0321")
    page.clock.fast_forward(61_000)
    expect(page.get_by_role("button", name="Place order")).to_be_disabled()
    page.get_by_role("link", name="Review it anew").click()
    expect(page.get_by_label("Amount")).to_have_value("0.0321")
    expect(page.get_by_label("Price")).to_have_value(price)
    assert trader.orders() == []


def test_the_ticket_shows_what_the_type_needs_and_a_live_price(trader):
    page = trader.page
    trader.open(f"/orders/new/?symbol={SYMBOL}")
    shown = {
        "EXCHANGE MARKET": [],
        "EXCHANGE STOP LIMIT": ["Price", "Limit after the stop"],
        "TRAILING STOP": ["Trailing distance", "Reduce only"],
        "EXCHANGE LIMIT": ["Price", "Post only"],
    }
    every = {name for names in shown.values() for name in names}
    for order_type, names in shown.items():
        page.get_by_label("Order type").select_option(order_type)
        for name in every:
            expect(page.get_by_label(name, exact=name != "Price")).to_be_visible(
                visible=name in names
            )
    expect(page.locator("[data-quote=age]")).to_have_text(re.compile(r"\ds"))
    page.get_by_label("Symbol").fill("tETHUSD")
    expect(page.locator("[data-market-name]")).to_have_text("tETHUSD")
    page.get_by_label("Amount").fill("2")
    page.get_by_label("Price").fill("1000")
    expect(page.locator("[data-total]")).to_have_text("≈ 2,000")


def test_the_tickers_lead_to_the_ticket(trader):
    trader.open("/?q=tETHUSD")
    trader.page.get_by_role("link", name="Trade ETH/USD").click()
    expect(trader.page.get_by_label("Symbol")).to_have_value("tETHUSD")


def test_orders_are_shown_without_the_exchange_too(own_trader):
    trader = own_trader
    trader.place()
    trader.exchange.stop()
    trader.open("/orders/")
    expect(trader.page.get_by_text("cannot be reached")).to_be_visible()
    expect(trader.page.locator("[data-outcome=accepted]")).to_have_count(1)


def test_a_server_that_stops_lets_an_order_on_its_way_end(own_trader, tolerated):
    trader = own_trader
    tolerated.append("ERR_")  # the server is gone
    page = trader.page
    trader.fill()
    trader.exchange.fault(kind="slow", seconds=3, endpoint=SUBMIT)
    page.get_by_role("button", name="Place order").click(no_wait_after=True)
    for _ in range(50):
        if trader.orders():
            break
        time.sleep(0.1)
    began = time.monotonic()
    assert trader.site.children["web"].stop() == 0
    assert time.monotonic() - began < 12
    say = "from market.models import OrderIntent as o; print('state:', o.objects.get().state)"
    asked = trader.site.manage("ask", "shell", "-c", say)
    asked.process.wait(60)
    assert "state: accepted" in asked.log
    assert len(trader.orders()) == 1
