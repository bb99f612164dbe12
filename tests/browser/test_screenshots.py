"""The pictures of the documentation, made by the project itself.

They go to a temporary folder, and to docs/ with

    BFX_SCREENSHOTS=docs python3 manage.py test tests/browser/test_screenshots.py
"""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(os.environ.get("BFX_SCREENSHOTS", tmp_path))


@pytest.fixture
def browser_context_args(browser_context_args):
    return {**browser_context_args, "viewport": {"width": 1440, "height": 720}}


def test_the_ticker_grid_of_the_readme(page: Page, dashboard, folder: Path):
    page.goto(dashboard.url)
    state = page.locator("[data-feed-state]")
    expect(state).to_have_attribute("data-feed-state", "live", timeout=20_000)
    page.wait_for_timeout(3_000)  # for some prices to move
    picture = folder / "screenshot.png"
    page.screenshot(path=picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
