"""After a restore every key waits for its owner, who takes it into use again by one button.

On one database: that a restore quarantines on both is shown in tests/faults/test_restore.py.
"""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import PASSWORD, add_key, make_account, make_sandbox_key, setup_link

pytestmark = [pytest.mark.browser, pytest.mark.once]


@pytest.fixture
def site(start_dashboard, exchange_server):
    dashboard = start_dashboard(exchange_server)
    dashboard.wait_ready()
    return dashboard


def run(site, name: str, *words: str) -> str:
    """A command to its end; its last line."""
    child = site.manage(name, *words)
    status = child.process.wait(60)
    assert status == 0, child.log
    child.close()
    return str(child.log.splitlines()[-1])


def test_a_key_of_a_restored_database_is_confirmed_by_its_owner(
    page: Page, site, exchange_server, tolerated
):
    tolerated.append("403 (Forbidden)")  # the first press: a sign-in is no fresh proof
    make_account(page, setup_link(site), "boss")
    name, secret = make_sandbox_key(page, exchange_server)
    add_key(page, site, name, secret, "bot")
    expect(page.locator("[data-key]")).to_have_attribute("data-state", "usable")
    key = page.url.removeprefix(site.url)
    page.goto("about:blank")
    site.children["web"].stop()
    copy = json.loads(run(site, "backup", "backup"))["backup"]
    assert json.loads(run(site, "restore", "restore", copy, "--yes"))["waiting"] == 1
    site.start_embedded()

    page.goto(f"{site.url}{key}")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("[data-key]")).to_have_attribute("data-state", "quarantined")
    expect(page.get_by_text("The database was restored from a backup")).to_be_visible()
    expect(page.get_by_role("link", name="Arm key")).to_have_count(0)
    page.get_by_role("button", name="Confirm key").click()
    page.get_by_role("link", name="Confirm").click()  # the step-up; what was posted is lost
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm", exact=True).click()
    page.get_by_role("button", name="Confirm key").click()
    expect(page.get_by_text("The key only reads until you arm it")).to_be_visible()
    expect(page.locator("[data-key]")).to_have_attribute("data-state", "usable")
    expect(page.get_by_role("link", name="Arm key")).to_be_visible()
