"""The ticker page as a reader uses it, against the real product."""

import re
from itertools import pairwise

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

pytestmark = pytest.mark.browser

ROWS = "tbody tr[data-symbol]"
STATE = "[data-feed-state]"
SHOWN = "tbody tr[data-symbol]:visible"


@pytest.fixture(autouse=True)
def no_console_message(page):
    """No message of any kind: a broken content security policy shows there first."""
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        said.append(f"{message.type}: {message.text}")

    page.on("console", note)
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    yield
    assert said == []


@pytest.fixture
def live(page: Page, dashboard) -> Page:
    page.goto(dashboard.url)
    expect(page.locator(STATE)).to_have_attribute("data-feed-state", "live", timeout=20_000)
    return page


def order(page: Page) -> list[str]:
    symbols: list[str] = page.locator(SHOWN).evaluate_all(
        "rows => rows.map(row => row.dataset.symbol)"
    )
    return symbols


def numbers(page: Page, field: str) -> list[float]:
    rows = "[data-section=pairs] tbody tr[data-symbol]:not([data-paper])"
    texts = page.locator(f"{rows} [data-field={field}]").evaluate_all(
        "cells => cells.map(cell => cell.dataset.value)"
    )
    return [float(text) for text in texts if text]


def test_all_pairs_and_funding_currencies_are_there(live):
    assert live.locator('tbody tr[data-symbol^="t"]').count() > 250
    assert live.locator('tbody tr[data-symbol^="f"]').count() >= 15


def test_prices_change_in_place(live):
    live.evaluate("() => { document.body.dataset.untouched = 'yes' }")
    first = live.locator(ROWS).evaluate_all(
        "rows => rows.map(row => row.querySelector('[data-field=last]').dataset.value).join()"
    )
    live.wait_for_function(
        """before => before !== [...document.querySelectorAll('tbody tr[data-symbol]')]
            .map(row => row.querySelector('[data-field=last]').dataset.value).join()""",
        arg=first,
    )
    expect(live.locator("body")).to_have_attribute("data-untouched", "yes")


def test_what_a_cell_shows_is_what_it_says(live):
    shown = live.locator('tr[data-symbol^="t"] [data-field="last"]').evaluate_all(
        "cells => cells.map(cell => [cell.textContent, cell.dataset.value])"
    )
    assert shown
    assert [text for text, value in shown if text.replace(",", "") != value] == []


def test_values_are_plain_decimals(live):
    texts = live.locator("tbody [data-field]").evaluate_all(
        "cells => cells.map(cell => cell.dataset.value)"
    )
    assert len(texts) > 2000
    assert [text for text in texts if not re.fullmatch(r"(-?\d+(\.\d+)?)?", text)] == []


def test_the_age_of_a_row_counts_on(live):
    live.wait_for_function(
        """() => [...document.querySelectorAll('tbody [data-field=age]')].slice(0, 20)
            .some(cell => Number(cell.dataset.value) >= 2)"""
    )


def test_search_sort_filter_and_favourite_by_keyboard_alone(live):
    live.keyboard.press("/")
    expect(live.get_by_label("Search symbols")).to_be_focused()
    live.keyboard.type("btc/")
    expect(live.locator("[data-count]")).to_have_text(re.compile(r"^\d{1,2} of \d{3}$"))
    assert all("BTC/" in label for label in live.locator(f"{SHOWN} .pair").all_inner_texts())

    live.keyboard.press("ArrowDown")
    live.keyboard.press("ArrowDown")
    second = order(live)[1]
    expect(live.locator(f'[data-symbol="{second}"]')).to_be_focused()
    live.keyboard.press("f")
    assert order(live)[0] == second
    expect(live.locator(f'[data-symbol="{second}"]')).to_be_focused()

    live.keyboard.press("/")
    live.keyboard.press("Escape")
    expect(live.get_by_label("Search symbols")).to_have_value("")
    live.keyboard.press("Tab")
    live.keyboard.press("ArrowRight")
    expect(live.get_by_label("Favourites", exact=True)).to_be_checked()
    assert order(live) == [second]


def test_columns_sort_by_keyboard_and_say_so(live):
    head = live.locator('[data-section="pairs"] th[data-column="last"]')
    head.get_by_role("button").focus()
    live.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    found = numbers(live, "last")
    assert found[0] > found[len(found) // 2] > found[-1]
    assert sum(above < below for above, below in pairwise(found)) < 5  # some moved since
    live.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert "sort=last" in live.url


def test_a_quote_currency_shows_its_pairs(live):
    live.get_by_label("EUR", exact=True).check()
    symbols = order(live)
    assert symbols
    assert all(symbol.endswith("EUR") for symbol in symbols)
    live.get_by_label("Funding", exact=True).check()
    assert all(symbol.startswith("f") for symbol in order(live))


def test_favourites_and_colours_are_remembered(live):
    live.locator('[data-symbol="tETHUSD"] .pin button').click()
    live.get_by_role("button", name="Display settings").click()
    live.get_by_label("Light", exact=True).check()
    live.get_by_label("Blue, orange").check()
    live.reload()
    expect(live.locator(SHOWN).first).to_have_attribute("data-symbol", "tETHUSD")
    expect(live.locator("html")).to_have_attribute("data-theme", "light")
    expect(live.locator("html")).to_have_attribute("data-colours", "blue-orange")


def test_paper_markets_are_marked_and_last(live):
    pairs = live.locator('[data-section="pairs"] tbody tr[data-symbol]')
    paper = pairs.locator("em", has_text="paper").count()
    assert paper >= 2
    tail = pairs.evaluate_all("rows => rows.map(row => row.dataset.paper !== undefined)")
    assert tail == [False] * (len(tail) - paper) + [True] * paper


def test_a_row_opens_its_rest_call_ready_to_copy(live):
    live.context.grant_permissions(["clipboard-read", "clipboard-write"])
    live.get_by_label("Search symbols").fill("tBTCUSD")
    live.keyboard.press("ArrowDown")
    live.keyboard.press("Enter")
    dialog = live.get_by_role("dialog", name="BTC/USD")
    expect(dialog).to_contain_text("/v2/ticker/tBTCUSD")
    dialog.get_by_role("button", name="Copy as cURL").click()
    expect(dialog.get_by_text("Copied")).to_be_visible()
    copied = live.evaluate("() => navigator.clipboard.readText()")
    assert re.fullmatch(r"curl .* http://127\.0\.0\.1:\d+/v2/ticker/tBTCUSD", copied)
    live.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_nothing_found_says_so(live):
    live.get_by_label("Search symbols").fill("no such thing")
    expect(live.get_by_text("Nothing matches")).to_be_visible()
    expect(live.locator("[data-count]")).to_have_text(re.compile("^0 of"))


def test_only_the_rows_on_the_screen_are_watched(page, dashboard):
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda text: sent.append(text)))
    page.goto(dashboard.url)
    top = page.locator(SHOWN).first.get_attribute("data-symbol")
    expect(page.locator(STATE)).to_have_attribute("data-feed-state", "live", timeout=20_000)
    page.wait_for_timeout(1000)
    watched = [message for message in sent if "watch" in message]
    assert watched
    assert str(top) in watched[-1]
    assert watched[-1].count('"t') < 100


CUT = """cells => cells.map(cell => [cell, cell.closest('td, th')])
    .filter(([cell, box]) => box.clientWidth && (cell === box
        ? box.scrollWidth > box.clientWidth + 1
        : cell.offsetWidth > box.clientWidth))
    .map(([cell, box]) => `${box.clientWidth} px: ${cell.textContent}`)"""
WIDTHS = (320, 390, 519, 520, 640, 700, 768, 780, 900, 1020, 1230, 1380, 1440, 1920)


def test_at_every_width_nothing_scrolls_sideways_and_no_symbol_or_price_is_cut(live):
    for width in WIDTHS:
        live.set_viewport_size({"width": width, "height": 900})
        assert live.evaluate("() => document.documentElement.scrollWidth") == width
        shown = live.locator(f"{SHOWN} :is(td[data-field], .pair)")
        assert shown.evaluate_all(CUT) == [], width


def test_a_phone_opens_the_whole_row_by_a_tap(live):
    live.set_viewport_size({"width": 390, "height": 844})
    live.get_by_label("Search symbols").fill("tBTCUSD")
    live.locator('[data-symbol="tBTCUSD"] [data-field="last"]').click()
    dialog = live.get_by_role("dialog", name="BTC/USD")
    expect(dialog).to_contain_text("Bid")
    expect(dialog).to_contain_text("/v2/ticker/tBTCUSD")


def test_motion_is_off_for_who_wants_none(live):
    live.emulate_media(reduced_motion="reduce")
    live.wait_for_timeout(2500)
    assert live.locator("[data-flash]").count() == 0
