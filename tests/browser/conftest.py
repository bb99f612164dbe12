"""A real browser, whose every complaint fails the test."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebError, expect

from tests import servers
from tests.browser.chromium import launch_options
from tests.browser.orders import Trader, start_trading
from tests.trading import LISTED

COMPLAINTS = {"error", "warning"}
expect.set_options(timeout=30_000)  # ms: it only ends a test that hangs


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    try:
        return launch_options()
    except FileNotFoundError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "locale": "en-US", "timezone_id": "UTC"}


@pytest.fixture
def tolerated() -> list[str]:
    """Parts of the complaints that a test brings about: `tolerated.append("ERR_CONNECTION")`."""
    return []


@pytest.fixture(autouse=True)
def no_complaints(context: BrowserContext, tolerated: list[str]) -> Iterator[None]:
    """Fails the test on an error or a warning in the console, and on an exception in the page."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in COMPLAINTS:
            complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def hear_exception(error: WebError) -> None:
        complaints.append(f"exception: {error.error}")

    context.on("console", hear)
    context.on("weberror", hear_exception)
    yield
    assert [c for c in complaints if not any(part in c for part in tolerated)] == []


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The accessibility checks of axe-core, to be run in a page."""
    script = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.fail("axe-core is not installed: `python3 manage.py test` brings it")
    return script.read_text()


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """`picture(page, "keys-390-dark")`: for people to look at, in the folder BFX_SCREENSHOTS if it
    is set: painting a whole page takes longer than all that is checked of it.
    """
    folder = os.environ.get("BFX_SCREENSHOTS")

    def picture(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return picture


@pytest.fixture
def findings(axe_source: str) -> Callable[[Page], list[str]]:
    """Serious and critical findings of axe in a page, one line each."""

    def findings(page: Page) -> list[str]:
        page.evaluate(axe_source)
        result = page.evaluate("() => axe.run({resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['html'][:120]} ({node['failureSummary'][:200]})"
            for each in result["violations"]
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"][:3]
        ]

    return findings


@pytest.fixture
def exchange_server(start_exchange: Callable[..., servers.Exchange]) -> servers.Exchange:
    """Of a few symbols: what happens to keys and orders needs no more."""
    return start_exchange("--symbols", LISTED)


@pytest.fixture(scope="session")
def trading(
    browser: Browser,
    browser_context_args: dict[str, Any],
    start_dashboard_for: Callable[..., servers.Dashboard],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[servers.Dashboard, servers.Exchange, Any]]:
    """A dashboard whose first account has an armed key, its exchange, and the cookies of that
    account; one for all tests of orders."""
    folder = tmp_path_factory.mktemp("trading")
    with ExitStack() as started:
        exchange = servers.Exchange(folder, "--symbols", LISTED)
        started.callback(exchange.stop)
        site = start_dashboard_for(started, folder, exchange)
        site.wait_ready()
        context = browser.new_context(**browser_context_args)
        start_trading(context.new_page(), site, exchange)
        cookies = context.cookies()
        context.close()
        yield site, exchange, cookies


@pytest.fixture
def trader(page: Page, trading: Any) -> Iterator[Trader]:
    """Nobody's order is open when the test begins."""
    site, exchange, cookies = trading
    page.context.add_cookies(cookies)
    trader = Trader(page, site, exchange)
    trader.clear()
    trader.before = frozenset(each["id"] for each in trader.orders())
    yield trader
    trader.exchange.fault(kind="lag", seconds=0)
