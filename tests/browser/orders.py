"""A person with an armed key at a real sandbox exchange, in the words of the pages."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests
from playwright.sync_api import Locator, Page, expect

from tests.browser.accounts import add_key, make_account, make_sandbox_key, setup_link

SUBMIT = "auth/w/order/submit"
SYMBOL = "tBTCUSD"


@dataclass
class Trader:
    """`before`: the ids of orders of earlier tests."""

    page: Page
    site: Any
    exchange: Any
    before: frozenset[int] = frozenset()

    def open(self, path: str) -> None:
        self.page.goto(f"{self.site.url}{path}")

    def last(self) -> Decimal:
        """The sandbox's own last price."""
        url = f"{self.exchange.url}/v2/ticker/{SYMBOL}"
        return Decimal(str(requests.get(url, timeout=5).json()[6]))

    def resting(self, part: str = "0.9") -> str:
        """A price of five digits that rests that far below the market."""
        return format((self.last() * Decimal(part)).quantize(Decimal(1)), "f")

    def fill(self, amount: str = "0.01", price: str | None = None) -> str:
        """The ticket up to its review."""
        self.open(f"/orders/new/?symbol={SYMBOL}")
        price = price or self.resting()
        self.page.get_by_label("Amount").fill(amount)
        self.page.get_by_label("Price").fill(price)
        self.page.get_by_role("button", name="Review order").click()
        expect(self.page.get_by_role("button", name="Place order")).to_be_visible()
        return price

    def place(self, amount: str = "0.01", price: str | None = None) -> str:
        price = self.fill(amount, price)
        self.confirm()
        return price

    def confirm(self) -> None:
        aware = self.page.get_by_label("I know that the market")
        if aware.count():
            aware.check()
        self.page.get_by_role("button", name="Place order").click()

    def outcome(self) -> Locator:
        return self.page.locator(".outcome")

    def rows(self) -> Locator:
        return self.page.locator(".orders-list [data-order-id]")

    def orders(self, *, active: bool | None = None) -> list[dict[str, Any]]:
        """As the exchange has them."""
        url = f"{self.exchange.control}/orders?user=you"
        found: list[dict[str, Any]] = requests.get(url, timeout=5).json()["orders"]
        own = [each for each in found if each["id"] not in self.before]
        return [each for each in own if active in (None, each["active"])]

    def clear(self) -> None:
        """No fault is left, and no order open."""
        requests.delete(f"{self.exchange.control}/faults", timeout=5).raise_for_status()
        if self.orders(active=True):
            self.open("/orders/cancel-all/")
            self.page.get_by_label("Type CANCEL ALL").fill("CANCEL ALL")
            self.page.get_by_role("button", name="Cancel all").click()
            expect(self.page.get_by_text("Bitfinex has taken the cancel").first).to_be_visible()


def start_trading(page: Page, site: Any, exchange: Any) -> Trader:
    """The first account, with a key that is armed."""
    make_account(page, setup_link(site), "boss")
    name, secret = make_sandbox_key(page, exchange)
    add_key(page, site, name, secret, "desk")
    expect(page.get_by_role("heading", name="What the exchange lets it do")).to_be_visible()
    page.get_by_role("link", name="Arm key").click()
    page.get_by_role("button", name="Arm key").click()
    expect(page.get_by_text("armed: may place orders")).to_be_visible()
    return Trader(page, site, exchange)
