"""What the ticker page says and does when something on the way to it is lost."""

import re

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

pytestmark = pytest.mark.browser

QUICK = '{"window": 5}'  # the exchange's budgets, refilled every five seconds
STATE = "[data-feed-state]"
NOTICE = "[data-notice]"
ROWS = "tbody tr[data-symbol]"


def expect_state(page: Page, state: str, seconds: float = 20) -> None:
    expect(page.locator(STATE)).to_have_attribute("data-feed-state", state, timeout=seconds * 1000)


def mark(page: Page) -> None:
    """A page that was loaded again would have lost this."""
    page.evaluate("() => { document.body.dataset.untouched = 'yes' }")


def expect_not_reloaded(page: Page) -> None:
    expect(page.locator("body")).to_have_attribute("data-untouched", "yes")


@pytest.mark.once
def test_a_server_restart_is_survived_without_reload(
    page, start_exchange, start_dashboard, tolerated
):
    tolerated.append("WebSocket connection to")  # refused while the server is away
    exchange = start_exchange(BFX_RATES=QUICK)
    dashboard = start_dashboard(exchange, profile="embedded", BFX_RATES=QUICK)
    page.goto(dashboard.url)
    expect_state(page, "live")
    mark(page)

    port = dashboard.url.rpartition(":")[2]
    dashboard.children["web"].kill()
    expect_state(page, "offline")
    expect(page.locator(NOTICE)).to_contain_text("no connection to this dashboard, next try in")
    expect(page.locator(ROWS).first).to_have_attribute("data-source", "stale")

    dashboard.manage("web", "up", "--port", port, "--no-sandbox")
    expect_state(page, "live", seconds=60)
    expect(page.locator(NOTICE)).to_be_hidden()
    expect(page.locator(ROWS).first).to_have_attribute("data-source", re.compile("live|snapshot"))
    expect_not_reloaded(page)


@pytest.mark.once
def test_an_unreachable_exchange_is_a_clear_page(page, start_exchange, start_dashboard):
    exchange = start_exchange(BFX_RATES=QUICK)
    dashboard = start_dashboard(exchange, profile="embedded", BFX_RATES=QUICK)
    page.goto(dashboard.url)
    expect_state(page, "live")
    mark(page)

    exchange.kill()
    expect_state(page, "offline", seconds=40)
    told = re.compile(r"cannot reach Bitfinex, next try in \d+ s")
    expect(page.locator(NOTICE)).to_contain_text(told)
    row = page.locator(ROWS).first
    expect(row).to_have_attribute("data-source", "stale")
    expect(row.locator('[data-field="age"]')).to_contain_text("stale")

    page.reload()  # the page arrives saying so, before any script
    expect(page.locator(NOTICE)).to_contain_text("cannot reach Bitfinex")
    mark(page)
    exchange.start()
    expect_state(page, "live", seconds=90)
    expect_not_reloaded(page)


@pytest.mark.once
def test_a_start_without_the_exchange_shows_the_values_saved_last(
    page, start_exchange, start_dashboard
):
    exchange = start_exchange(BFX_RATES=QUICK)
    dashboard = start_dashboard(exchange, profile="embedded", BFX_RATES=QUICK)
    dashboard.wait_ready()
    port = dashboard.url.rpartition(":")[2]
    dashboard.children["web"].stop()
    exchange.kill()
    dashboard.manage("web", "up", "--port", port, "--no-sandbox")
    dashboard.children["web"].wait_until(dashboard.answers, seconds=60)
    page.goto(dashboard.url)
    expect_state(page, "offline", seconds=40)
    assert page.locator(ROWS).count() > 250
    expect(page.locator(ROWS).first).to_have_attribute("data-source", "stale")
    expect(page.locator(NOTICE)).to_contain_text("cannot reach Bitfinex")


@pytest.mark.once
def test_a_page_that_came_empty_fills_without_reload(page, start_exchange, start_dashboard):
    exchange = start_exchange(BFX_RATES=QUICK)
    exchange.kill()
    page.goto(start_dashboard(exchange, profile="embedded", BFX_RATES=QUICK).url)
    expect(page.get_by_text("Waiting for the first prices")).to_be_visible()
    mark(page)
    exchange.start()
    bitcoin = page.locator('[data-symbol="tBTCUSD"]')
    expect(bitcoin.locator('[data-field="last"]')).to_have_text(re.compile(r"\d"), timeout=60_000)
    expect(bitcoin.locator("th")).to_have_text("BTC/USDBitcoin")
    expect(page.locator('[data-symbol="tTESTBTC:TESTUSD"] em')).to_have_text("paper")
    assert page.locator(ROWS).count() > 300
    expect(page.get_by_text("Waiting for the first prices")).to_be_hidden()
    expect_not_reloaded(page)


def test_after_a_sleep_the_page_asks_for_a_fresh_table(page, dashboard):
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda text: sent.append(text)))
    page.clock.install()
    page.goto(dashboard.url)
    page.clock.run_for(3000)
    expect_state(page, "live")
    mark(page)
    page.clock.fast_forward("01:00:00")
    page.clock.run_for(6000)
    assert any("resync" in message for message in sent)
    expect_state(page, "live")
    expect_not_reloaded(page)


def test_a_connection_that_died_in_a_sleep_is_replaced(page, dashboard):
    """The half-open kind: it takes everything and brings nothing."""
    routes: list[WebSocketRoute] = []

    def route(socket: WebSocketRoute) -> None:
        routes.append(socket)
        server = socket.connect_to_server()
        first = len(routes) == 1
        socket.on_message(lambda text: None if first and muted else server.send(text))
        server.on_message(lambda text: None if first and muted else socket.send(text))

    muted: list[bool] = []
    page.route_web_socket(re.compile("/ws/tickers/"), route)
    page.clock.install()
    page.goto(dashboard.url)
    page.clock.run_for(3000)
    expect_state(page, "live")
    muted.append(True)
    page.clock.fast_forward("01:00:00")
    for _ in range(20):
        page.clock.run_for(1000)
        if len(routes) > 1:
            break
    assert len(routes) > 1
    page.clock.run_for(3000)
    expect_state(page, "live")
