"""What people do in the browser tests of accounts, in the words of the pages."""

import time
from typing import Any

from playwright.sync_api import Page, expect

from tests.accounts.sessions import code_of
from tests.accounts.visitors import PASSWORD, setup_link

__all__ = [
    "PASSWORD",
    "add_app",
    "add_key",
    "fresh_code",
    "make_account",
    "make_sandbox_key",
    "setup_link",
]


def make_account(page: Page, link: str, name: str) -> None:
    page.goto(link)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Make account").click()
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()


def add_app(page: Page) -> str:
    """An authenticator app as second factor; returns its seed."""
    page.get_by_role("link", name="Set up an app").click()
    seed = page.locator("[data-totp-secret]").inner_text()
    page.get_by_label("Authenticator code").fill(code_of(seed))
    page.get_by_role("button", name="Activate").click()
    expect(page.locator("[data-recovery-codes] li")).to_have_count(10)
    page.get_by_role("link", name="I have kept them").click()
    return seed


def fresh_code(seed: str) -> str:
    """Of the next half minute: each code works once."""
    time.sleep(30.5 - time.time() % 30)
    return code_of(seed)


def make_sandbox_key(page: Page, exchange: Any) -> tuple[str, str]:
    """On the exchange's own page."""
    page.goto(f"{exchange.url}/keys")
    page.get_by_label("Label").fill("dashboard")
    page.get_by_role("button", name="Make key").click()
    name = page.locator("[data-new-key]").inner_text()
    return name, page.locator("[data-new-secret]").inner_text()


def add_key(page: Page, dashboard: Any, name: str, secret: str, label: str) -> None:
    page.goto(f"{dashboard.url}/keys/add/")
    page.get_by_label("Label").fill(label)
    page.get_by_label("API key").fill(f"  {name}\n")
    page.get_by_label("API secret").fill(secret)
    page.get_by_label("I use this key under").check()
    page.get_by_role("button", name="Add key").click()
