"""For every reader: without a script, by a screen reader, in every theme and width."""

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

PAGES = ["/?q=no-such-thing", "/about/", "/tickers/tBTCUSD/curl/", "/no/such/page/"]


@pytest.fixture
def open_page(browser: Browser, browser_context_args, dashboard):
    """A page of the dashboard with the settings given."""
    contexts = []

    def open_page(address: str, *, theme="dark", colours="green-red", **settings) -> Page:
        context = browser.new_context(**{**browser_context_args, **settings})
        contexts.append(context)
        context.add_init_script(
            f"localStorage.setItem('bfx.theme', '{theme}');"
            f"localStorage.setItem('bfx.colours', '{colours}')"
        )
        page = context.new_page()
        page.goto(f"{dashboard.url}{address}")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(
    ("address", "width", "colours"),
    [("/", 1440, "green-red"), ("/?q=eur", 390, "green-red"), ("/?q=eur", 1440, "blue-orange")],
)
def test_axe_has_no_serious_finding_on_the_grid(
    open_page, findings, address, width, colours, theme
):
    viewport = {"width": width, "height": 900}
    page = open_page(address, theme=theme, colours=colours, viewport=viewport)
    expect(page.locator("[data-feed-state]")).to_have_attribute("data-feed-state", "live")
    assert findings(page) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("address", PAGES)
def test_axe_has_no_serious_finding_on_any_page(open_page, findings, address, theme):
    assert findings(open_page(address, theme=theme)) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_has_no_serious_finding_on_what_opens(open_page, findings, theme):
    page = open_page("/?q=eur", theme=theme)
    page.get_by_role("button", name="Display settings").click()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.locator(".grid .menu a:visible").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("curl")
    assert findings(page) == []


def test_the_page_is_read_without_a_script(open_page):
    page = open_page("/?q=btc&show=USD&sort=symbol", java_script_enabled=False)
    shown = page.locator("tbody tr[data-symbol]:visible")
    expect(shown.first).to_contain_text("BTC")
    last = page.locator('[data-symbol="tBTCUSD"] [data-field="last"]')
    exact = last.get_attribute("data-value") or ""
    assert (last.text_content() or "").replace(",", "") == exact != ""
    expect(page.locator("[data-feed-state]")).to_have_text("Live")


def test_sorting_and_filtering_work_without_a_script(open_page):
    page = open_page("/", java_script_enabled=False)
    page.get_by_label("EUR", exact=True).check()
    page.get_by_role("button", name="Apply").click()
    symbols = page.locator("tbody tr[data-symbol]:visible")
    assert all(row.get_attribute("data-quote") == "EUR" for row in symbols.all())
    page.locator('th[data-column="last"]').first.get_by_role("button").click()
    expect(page.locator('th[data-column="last"]').first).to_have_attribute(
        "aria-sort", "descending"
    )
    assert all(row.get_attribute("data-quote") == "EUR" for row in symbols.all())


def test_the_rest_call_is_a_page_without_a_script(open_page):
    page = open_page("/?q=tBTCUSD", java_script_enabled=False)
    page.get_by_role("link", name="REST call for BTC/USD", exact=True).click()
    expect(page.locator(".code")).to_contain_text("/v2/ticker/tBTCUSD")


def test_the_theme_may_follow_the_system(open_page):
    light = open_page("/about/", theme="auto", color_scheme="light")
    dark = open_page("/about/", theme="auto", color_scheme="dark")
    grounds = [
        page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
        for page in (light, dark)
    ]
    assert grounds == ["rgb(255, 255, 255)", "rgb(11, 14, 19)"]
