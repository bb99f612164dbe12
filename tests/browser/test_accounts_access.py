"""The pages of people for every reader: in every theme and width, by keyboard, without a script."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import (
    PASSWORD,
    add_app,
    add_key,
    make_account,
    make_sandbox_key,
    setup_link,
)

pytestmark = pytest.mark.browser
SIZES = [(1440, 900), (768, 1024), (390, 844)]
STRANGERS = ["/account/login/", "/account/signup/", "/account/password/reset/"]
PAGES = [
    "/keys/", "/keys/add/", "/keys/guide/", "/keys/leaked/", "/keys/halt/",
    "KEY", "KEYpolicy/", "KEYarm/", "KEYrevoke/", "/account/", "/account/trail/",
    "/account/factors/", "/account/sessions/", "/account/password/", "/account/email/",
    "LINK", "/account/delete/",
    "/account/factors/passkeys/add/", "/account/factors/codes/new/", "/admin/", "/admin/apikeys/",
    "/admin/users/", "/admin/invite/", "/admin/halt/",
]  # fmt: skip


@pytest.fixture
def site(start_dashboard, exchange_server, tmp_path):
    dashboard = start_dashboard(exchange_server, EMAIL_URL=f"filemail:///{tmp_path / 'mails'}")
    dashboard.wait_ready()
    return dashboard


@pytest.fixture
def boss(page: Page, site, exchange_server) -> Page:
    """Signed in, freshly proved, with a key; the key's page is open."""
    make_account(page, setup_link(site), "boss")
    add_app(page)
    name, secret = make_sandbox_key(page, exchange_server)
    add_key(page, site, name, secret, "a key with quite a long name of its own")
    expect(page.get_by_role("heading", name="What the exchange lets it do")).to_be_visible()
    return page


def mailed_link(page: Page, site, mails: Path) -> str:
    """Where the mail to a new address leads."""
    page.goto(f"{site.url}/account/email/")
    page.get_by_label("E-mail address").fill("somebody.with.a.long.name@a-long-domain.example.org")
    page.get_by_role("button", name="Save address").click()
    expect(page.get_by_text("Look for a mail at")).to_be_visible()
    (letter,) = mails.iterdir()
    word = next(w for w in letter.read_text().split() if "/account/email/" in w)
    return urlsplit(word).path


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_has_no_serious_finding_and_nothing_scrolls_sideways(
    boss,
    site,
    findings,
    theme,
    tmp_path,
    picture,
):
    key, link = boss.url.removeprefix(site.url), mailed_link(boss, site, tmp_path / "mails")
    boss.evaluate("theme => localStorage.setItem('bfx.theme', theme)", theme)
    found = []
    for address in PAGES:
        path = address.replace("KEY", key).replace("LINK", link)
        for width, height in SIZES:
            boss.set_viewport_size({"width": width, "height": height})
            boss.goto(f"{site.url}{path}")
            if boss.evaluate("() => document.documentElement.scrollWidth") > width:
                found.append(f"{path} scrolls sideways at {width}")
            name = address.strip("/").replace("/", "-")
            picture(boss, f"{name}-{width}-{theme}")
        found += [f"{path}: {finding}" for finding in findings(boss)]
    boss.context.clear_cookies()
    for path in STRANGERS:
        boss.goto(f"{site.url}{path}")
        if boss.evaluate("() => document.documentElement.scrollWidth") > SIZES[-1][0]:
            found.append(f"{path} scrolls sideways")
        picture(boss, f"stranger-{path.split('/')[2]}-{theme}")
        found += [f"{path}: {finding}" for finding in findings(boss)]
    assert found == []


def test_a_key_is_revoked_by_keyboard_alone(boss):
    boss.get_by_role("link", name="Revoke key").focus()
    boss.keyboard.press("Enter")
    boss.get_by_label("Reason").focus()
    boss.keyboard.type("by keyboard")
    boss.keyboard.press("Tab")
    for box in ("Cancel its open orders first", "Burn its nonces"):
        expect(boss.get_by_label(box)).to_be_focused()
        boss.keyboard.press("Tab")
    expect(boss.get_by_role("button", name="Revoke key")).to_be_focused()
    boss.keyboard.press("Enter")
    expect(boss.get_by_text("Its secret is wiped here")).to_be_visible()


def test_without_a_script_people_come_in_and_revoke(browser, browser_context_args, boss, site):
    key = boss.url
    context = browser.new_context(**browser_context_args, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.url}/account/login/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    context.add_cookies(boss.context.cookies())
    page.goto(f"{key}revoke/")
    page.get_by_label("Reason").fill("no script here")
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("no script here")).to_be_visible()
    context.close()
