"""G16 in a real browser: whatever people or the exchange write is shown as they wrote it."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from html import escape
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests import servers
from tests.accounts.payloads import PAYLOADS
from tests.accounts.visitors import PASSWORD, Visitor, setup_link

pytestmark = pytest.mark.browser

FORGED = '\r\n{"event": "forged", "level": "error"}\n'
GOOD = ["tBTCUSD", 10, 1, 11, 1, 0.5, 0.05, 10.5, 100, 12, 9]
TEXTS = {
    "/keys/": PAYLOADS,
    "/keys/leaked/": PAYLOADS[2:],  # one is revoked
    "/account/": PAYLOADS[-20:],  # the page shows the latest news
    "/admin/": PAYLOADS,
    "/admin/apikeys/": PAYLOADS,
}
REPORT = """
document.addEventListener('securitypolicyviolation', e => console.error(`CSP ${e.blockedURI}`));
"""
CODE = "main :is(script, style, iframe, base, meta, math, template, xss, img, svg *), [onerror]"


class Site(NamedTuple):
    """The product with hostile texts everywhere, and the session of their owner."""

    dashboard: servers.Dashboard
    exchange: servers.Exchange
    boss: Visitor
    keys: dict[str, str]

    @property
    def url(self) -> str:
        return self.dashboard.url


@pytest.fixture(scope="module")
def site(start_dashboard_for, tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hostile")
    with ExitStack() as started:
        exchange = servers.Exchange(folder)
        started.callback(exchange.stop)
        rows = [GOOD, *([f"t{text}", *GOOD[1:]] for text in PAYLOADS)]
        exchange.fault(kind="body", body=json.dumps(rows), endpoint="tickers", times=10_000)
        dashboard = start_dashboard_for(started, folder, exchange)
        dashboard.wait_ready()
        boss = started.enter_context(Visitor())
        link = setup_link(dashboard)
        boss.fill(link, username="boss", password1=PASSWORD, password2=PASSWORD)
        yield Site(dashboard, exchange, boss, fill(dashboard))


def fill(dashboard: servers.Dashboard) -> dict[str, str]:
    """Returns the pages of two keys."""
    environ = os.environ | dashboard.environ | {"DJANGO_SETTINGS_MODULE": "bfxdash.settings"}
    command = [sys.executable, "-m", "tests.browser.hostile"]
    child = servers.Child(command, dashboard.folder / "hostile.log", environ=environ)
    status = child.process.wait(60)
    child.close()
    assert status == 0, child.log
    pks: dict[str, str] = json.loads(child.log.splitlines()[-1])
    return {name: f"/keys/{pk}/" for name, pk in pks.items()}


@pytest.fixture
def reactions(page: Page, site) -> list[str]:
    """Everything by which a page shows that it took a text for more than that."""
    seen: list[str] = []
    session = site.boss.cookies["bfx"]
    page.context.add_cookies([{"name": "bfx", "value": session, "url": site.url}])
    page.add_init_script(REPORT)
    page.on("console", lambda message: seen.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.append(f"exception: {error}"))

    def hear_dialog(dialog) -> None:
        seen.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def hear_request(request) -> None:
        if not request.url.startswith((site.url, "data:")):
            seen.append(f"request: {request.url}")

    page.on("dialog", hear_dialog)
    page.on("request", hear_request)
    return seen


def literal(page: Page, texts: list[str]) -> list[str]:
    """Those that the page does not show as they are."""
    shown = page.locator("main").text_content() or ""
    return [text for text in texts if text not in shown]


def test_g16_every_text_is_shown_as_it_is(page, site, reactions):
    texts = TEXTS | {site.keys["scopes"]: PAYLOADS, site.keys["revoked"]: ["".join(PAYLOADS[:6])]}
    written = [json.dumps({"reason": text}, separators=(",", ":")) for text in PAYLOADS]
    missing = {}
    for path, expected in (texts | {"/account/trail/": written}).items():
        page.goto(f"{site.url}{path}")
        missing[path] = literal(page, expected)
        assert page.locator(CODE).count() == 0, path
    assert missing == {path: [] for path in missing}
    assert reactions == []


def test_g16_an_error_of_the_exchange_is_shown_as_it_is(page, site, reactions):
    body = json.dumps(["error", 10100, FORGED.join(PAYLOADS)])
    where = {"endpoint": "auth/r/permissions", "before": True}
    site.exchange.fault(kind="body", body=body, status=500, times=9, **where)
    page.goto(f"{site.url}/keys/add/")
    for field in ("API key", "API secret"):
        page.get_by_label(field).fill("x" * 43)
    page.get_by_label("Label").fill("hostile")
    page.get_by_label("I use this key under").check()
    page.get_by_role("button", name="Add key").click()
    expect(page.get_by_text("It said:")).to_be_visible()
    assert literal(page, PAYLOADS) == []
    assert page.locator(CODE).count() == 0
    assert reactions == []
    assert not re.search(r'^\{"event": "forged"', site.dashboard.log, re.MULTILINE)


def test_g16_a_pair_with_a_name_that_is_none_is_not_listed(page, site, reactions):
    page.goto(site.url)
    expect(page.locator("[data-symbol=tBTCUSD]").first).to_be_visible()
    shown = page.content()
    assert [text for text in PAYLOADS if f"t{text}" in shown or f"t{escape(text)}" in shown] == []
    assert reactions == []
