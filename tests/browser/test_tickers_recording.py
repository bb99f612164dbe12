"""The main job: what the exchange said in a real recording is what the page shows."""

import gzip
import json
import time
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

RECORDING = "ws_public/2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"
TICKER_CELLS = {
    "bid": 0,
    "ask": 2,
    "change": 4,
    "change-percent": 5,
    "last": 6,
    "volume": 7,
    "high": 8,
    "low": 9,
}


def plain(number):
    """The number as it was sent, without an exponent."""
    text = f"{number:.20f}".rstrip("0").rstrip(".") if "e" in repr(number) else repr(number)
    return text.removesuffix(".0")


def expected_cells(recording: Path) -> dict[str, dict[str, str]]:
    """Cells by symbol: the pair's last ticker, and a trade's price where one came after it."""
    channels: dict[int, tuple[str, str]] = {}
    cells: dict[str, dict[str, str]] = {}
    for line in gzip.decompress(recording.read_bytes()).splitlines():
        frame = json.loads(line)
        message = json.loads(frame["raw"]) if frame["dir"] == "in" else None
        if isinstance(message, dict) and message.get("event") == "subscribed":
            channels[message["chanId"]] = message["channel"], message["symbol"]
        elif isinstance(message, list):
            channel, symbol = channels.get(message[0], ("", ""))
            if channel == "ticker" and isinstance(message[1], list):
                cells[symbol] = {name: plain(message[1][at]) for name, at in TICKER_CELLS.items()}
            elif channel == "trades" and message[1] == "te":
                cells[symbol]["last"] = plain(message[2][3])
    return cells


def shown_cells(page: Page, symbol: str) -> dict[str, str | None]:
    row = page.locator(f'[data-symbol="{symbol}"]')
    return {
        name: row.locator(f'[data-field="{name}"]').get_attribute("data-value")
        for name in TICKER_CELLS
    }


def test_every_cell_equals_the_recording(page, start_exchange, start_dashboard, recordings):
    expected = expected_cells(recordings / RECORDING)
    exchange = start_exchange("--replay", str(recordings / RECORDING), "--speed", "10")
    page.goto(start_dashboard(exchange, profile="embedded").url)
    expect(page.locator("tbody tr[data-symbol]")).to_have_count(len(expected), timeout=15_000)
    while not requests.get(f"{exchange.control}/replay", timeout=5).json()["done"]:
        time.sleep(0.2)
    expect(page.locator("[data-feed-state]")).to_have_attribute("data-feed-state", "live")
    for symbol, cells in expected.items():
        last = page.locator(f'[data-symbol="{symbol}"] [data-field="last"]')
        expect(last).to_have_attribute("data-value", cells["last"], timeout=5000)
        assert shown_cells(page, symbol) == cells, symbol
