"""The flow of people through the real product: from the set-up link to a key that is revoked."""

import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accounts import (
    PASSWORD,
    add_app,
    add_key,
    fresh_code,
    make_account,
    make_sandbox_key,
    setup_link,
)

pytestmark = pytest.mark.browser


@pytest.fixture
def site(start_dashboard, exchange_server):
    dashboard = start_dashboard(exchange_server)
    dashboard.wait_ready()
    return dashboard


@pytest.fixture
def second(browser: Browser, browser_context_args, tolerated):
    """Another person's browser; its complaints count as well. Chromium's note that a sign-out has
    emptied the cache is none, and comes or not.
    """
    tolerated.append("Cleared data types")
    context = browser.new_context(**browser_context_args)
    said: list[str] = []
    context.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    context.on("weberror", lambda error: said.append(f"exception: {error.error}"))
    yield context.new_page()
    context.close()
    assert [each for each in said if not any(part in each for part in tolerated)] == []


def test_from_the_set_up_link_to_a_key_that_is_revoked(page, second, site, exchange_server):
    boss, dora = page, second
    make_account(boss, setup_link(site), "boss")
    add_app(boss)
    boss.goto(f"{site.url}/admin/invite/")
    boss.get_by_role("button", name="Make a link").click()
    make_account(dora, boss.locator("[data-invitation]").inner_text(), "dora")
    add_app(dora)

    name, secret = make_sandbox_key(dora, exchange_server)
    add_key(dora, site, name, secret, "bot")
    expect(dora.locator('[data-scope="orders"] [data-write="yes"]')).to_be_visible()
    expect(dora.locator('[data-scope="withdraw"] [data-write="no"]')).to_be_visible()
    assert secret not in dora.content()
    assert name not in dora.content()

    dora.goto(f"{site.url}/keys/")
    row = dora.locator("[data-key]")
    expect(row).to_have_attribute("data-state", "usable")
    dora.wait_for_timeout(500)  # its socket

    boss.goto(f"{site.url}/admin/apikeys/")
    boss.get_by_role("row", name="dora").get_by_role("checkbox").check()
    boss.get_by_role("combobox").select_option("Revoke key")
    boss.get_by_role("button", name="Go").click()
    boss.get_by_label("Reason").fill("seen on a paste site")
    began = time.monotonic()
    boss.get_by_role("button", name="Revoke keys").click()
    expect(row).to_have_attribute("data-state", "revoked", timeout=2_000)
    took = time.monotonic() - began
    expect(dora.locator("[data-news]")).to_contain_text("bot: revoked")
    expect(boss.get_by_text("Revoked: bot")).to_be_visible()
    expect(row).to_have_attribute("data-state", "quiet", timeout=6_000)
    print(f"the owner's page said so {took:.2f} s after the click")
    assert took < 2
    dora.goto(f"{site.url}/account/")
    expect(dora.get_by_text("revoked by an administrator: seen on a paste site")).to_be_visible()


def test_signing_in_needs_the_second_step_and_a_deactivation_throws_out(page, second, site):
    boss, dora = page, second
    make_account(boss, setup_link(site), "boss")
    boss.goto(f"{site.url}/admin/invite/")  # skips the factor: a sandbox
    boss.get_by_role("button", name="Make a link").click()
    make_account(dora, boss.locator("[data-invitation]").inner_text(), "dora")
    seed = add_app(dora)
    dora.get_by_role("button", name="Sign out").click()
    expect(dora.get_by_role("button", name="Sign out")).to_have_count(0)

    dora.goto(f"{site.url}/keys/")
    dora.get_by_label("Username").fill("dora")
    dora.get_by_label("Password").fill(PASSWORD)
    dora.get_by_role("button", name="Sign in", exact=True).click()
    dora.get_by_label("Code").fill(fresh_code(seed))
    dora.get_by_role("button", name="Sign in", exact=True).click()
    expect(dora.get_by_role("heading", name="Your keys")).to_be_visible()
    dora.wait_for_timeout(500)

    boss.goto(f"{site.url}/admin/users/")
    boss.get_by_role("row", name="dora").get_by_role("checkbox").check()
    boss.get_by_role("combobox").select_option("Deactivate account")
    boss.get_by_role("button", name="Go").click()
    boss.get_by_label("Reason").fill("left us")
    boss.get_by_role("button", name="Deactivate accounts").click()
    expect(dora.get_by_role("heading", name="Sign in")).to_be_visible(timeout=3_000)


def test_a_passkey_signs_in_and_proves_who_it_is(page: Page, site):
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    make_account(page, setup_link(site), "boss")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("button", name="Add passkey").click()
    expect(page.locator("[data-recovery-codes] li")).to_have_count(10)

    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{site.url}/account/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Your keys")).to_be_visible()
    page.goto(f"{site.url}/keys/add/")
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Add a key")).to_be_visible()
    page.goto(f"{site.url}/account/trail/")
    for event in ("factor.added", "login.done", "login.proved_again"):
        expect(page.get_by_role("row", name=event).first).to_be_visible()
