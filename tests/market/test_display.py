import json
from pathlib import Path

import pytest

from market import display
from market.quotes import FeedStatus

CASES = json.loads((Path(__file__).parents[1] / "js" / "format_cases.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_numbers_read_as_in_the_browser(name):
    for number, text in CASES[name]:
        assert getattr(display, name)(number) == text, f"{name}({number})"


def status(state, **facts):
    return FeedStatus(state=state, since=0, at=0, **facts)


def test_nothing_needs_saying_while_all_is_live():
    assert display.notice(status("live"), 0, rows=1) == ""


def test_an_unreachable_exchange_is_named_with_the_next_try():
    unreachable = status("offline", reason="cannot reach Bitfinex", retry_at=12_000)
    assert display.notice(unreachable, 500, rows=1) == (
        "Offline: cannot reach Bitfinex, next try in 12 s. "
        "The values below are the last known ones."
    )


def test_a_past_retry_time_counts_as_now():
    unreachable = status("offline", reason="cannot reach Bitfinex", retry_at=1000)
    text = display.notice(unreachable, 9000, rows=1)
    assert "next try in 0 s" in text


def test_a_stop_without_a_reason_still_says_that_prices_have_stopped():
    assert display.notice(status("stale"), 0, rows=1).startswith("Stale: prices have stopped.")


def test_before_the_first_word_of_the_feed_the_page_is_connecting():
    assert display.notice(None, 0, rows=0) == "Connecting to Bitfinex…"


def test_connecting_counts_its_connections():
    text = display.notice(status("connecting", sockets=7, wanted=13), 0, rows=1)
    assert text == "Connecting to Bitfinex, 7 of 13 connections…"


def test_a_page_without_rows_says_nothing_of_values():
    unreachable = status("offline", reason="cannot reach Bitfinex", retry_at=12_000)
    text = display.notice(unreachable, 500, rows=0)
    assert text == "Offline: cannot reach Bitfinex, next try in 12 s."
    assert display.notice(status("stale"), 0, rows=0) == "Stale: prices have stopped."


@pytest.mark.parametrize(
    "form", ["price", "signed", "percent", "rate", "signed_rate", "amount", "compact"]
)
def test_an_integer_that_the_browser_cannot_know_counts_as_not_sent(form):
    assert getattr(display, form)(10**400) == display.NOTHING
    assert getattr(display, form)(-(10**400)) == display.NOTHING
