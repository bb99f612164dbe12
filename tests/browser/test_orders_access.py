"""The pages of orders for every reader: in every theme and width, by keyboard, without a script."""

import pytest
from playwright.sync_api import expect

from tests.browser.orders import SUBMIT, Trader

pytestmark = pytest.mark.browser
SIZES = [(1440, 900), (768, 1024), (390, 844)]


def addresses(trader: Trader) -> dict[str, str]:
    """Name → path of every page of orders, with something on each."""
    page = trader.page
    trader.place("0.02", trader.resting("1.02"))
    words = "Invalid order: not enough exchange balance"
    trader.exchange.fault(kind="error", code=10001, text=words, endpoint=SUBMIT)
    trader.place()
    refused = page.url.removeprefix(trader.site.url)
    trader.place("0.5", trader.resting("0.8"))
    placed = page.url.removeprefix(trader.site.url)
    trader.open("/orders/")
    edit = page.get_by_role("link", name="Edit").first.get_attribute("href")
    trader.fill("0.1", trader.resting("1.07"))
    review = page.url.removeprefix(trader.site.url)
    return {
        "review": review, "ticket": "/orders/new/", "orders": "/orders/", "refused": refused,
        "placed": placed, "edit": str(edit), "cancel-all": "/orders/cancel-all/",
        "history": "/orders/history/", "trades": "/orders/trades/", "wallets": "/wallets/",
        "budget": "/budget/", "tickers": "/?q=BTC",
    }  # fmt: skip


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_has_no_serious_finding_and_nothing_scrolls_sideways(trader, findings, theme, picture):
    pages, page, found = addresses(trader), trader.page, []
    page.evaluate("theme => localStorage.setItem('bfx.theme', theme)", theme)
    for name, path in pages.items():
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            trader.open(path)
            if page.evaluate("() => document.documentElement.scrollWidth") > width:
                found.append(f"{path} scrolls sideways at {width}")
            picture(page, f"{name}-{width}-{theme}")
        found += [f"{path}: {finding}" for finding in findings(page)]
    assert found == []


def test_an_order_is_placed_and_cancelled_by_keyboard_alone(trader):
    page = trader.page
    press = page.keyboard.press
    trader.open("/orders/new/")
    page.get_by_label("Symbol").focus()
    press("Tab")
    expect(page.get_by_label("Order type")).to_be_focused()
    press("Tab")
    press("ArrowRight")
    expect(page.get_by_label("Sell")).to_be_checked()
    press("ArrowLeft")
    press("Tab")
    page.keyboard.type("0.01")
    press("Tab")
    page.keyboard.type(trader.resting())
    press("Enter")
    expect(page.get_by_role("button", name="Place order")).to_be_visible()
    for _ in range(30):
        press("Tab")
        if page.evaluate("() => document.activeElement?.matches('[data-place]')"):
            break
    press("Enter")
    expect(trader.outcome()).to_have_attribute("data-state", "accepted")
    trader.open("/orders/")
    trader.rows().get_by_role("button", name="Cancel order").focus()
    press("Enter")
    expect(page.get_by_text("Bitfinex has taken the cancel")).to_be_visible()
    assert trader.orders(active=True) == []


def test_an_order_is_placed_and_settled_without_a_script(trader, browser, browser_context_args):
    state = trader.page.context.storage_state()
    plain = browser.new_context(
        **browser_context_args, java_script_enabled=False, storage_state=state
    )
    trader.page = page = plain.new_page()
    trader.open("/orders/new/")
    expect(page.get_by_label("Leverage")).to_be_visible()
    page.get_by_label("Amount").fill("0.01")
    page.get_by_label("Price").fill(trader.resting())
    page.get_by_role("button", name="Review order").click()
    trader.exchange.fault(kind="slow", seconds=5, endpoint=SUBMIT)
    trader.confirm()
    expect(trader.outcome()).to_have_attribute("data-state", "sending")
    expect(trader.outcome()).to_have_attribute("data-state", "accepted", timeout=20_000)
    page.get_by_role("link", name="See my orders").click()
    trader.rows().get_by_role("button", name="Cancel order").click()
    expect(page.get_by_text("Bitfinex has taken the cancel: 1 order.")).to_be_visible()
    plain.close()
