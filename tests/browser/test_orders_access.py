"""The pages of orders for every reader: in every theme and width, by keyboard, without a script."""

import pytest
from playwright.sync_api import Page

from tests.browser.orders import SUBMIT, Trader, start_trading

pytestmark = pytest.mark.browser
SIZES = [(1440, 900), (768, 1024), (390, 844)]


@pytest.fixture
def trader(page: Page, start_dashboard, exchange_server) -> Trader:
    site = start_dashboard(exchange_server)
    site.wait_ready()
    return start_trading(page, site, exchange_server)


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
        "budget": "/budget/",
    }  # fmt: skip


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_has_no_serious_finding_and_nothing_scrolls_sideways(trader, findings, theme, tmp_path):
    pages, page, found = addresses(trader), trader.page, []
    page.evaluate("theme => localStorage.setItem('bfx.theme', theme)", theme)
    for name, path in pages.items():
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            trader.open(path)
            if page.evaluate("() => document.documentElement.scrollWidth") > width:
                found.append(f"{path} scrolls sideways at {width}")
            page.screenshot(path=tmp_path / f"{name}-{width}-{theme}.png", full_page=True)
        found += [f"{path}: {finding}" for finding in findings(page)]
    assert found == []
