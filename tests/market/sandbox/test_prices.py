import json
from pathlib import Path

import pytest

from market.sandbox.prices import (
    CURRENCIES,
    FUNDING,
    FUTURES,
    PAIRS,
    five,
    order_sizes,
    spell,
    split_pair,
    step,
)


def test_the_listing_is_the_recorded_one(recordings: Path) -> None:
    recorded = json.loads((recordings / "rest/2021-04-17_conf_pub_lists.json").read_text())
    pairs, _, futures = (answer["body"][0] for answer in recorded.values())

    assert [pair.name for pair in PAIRS] == pairs
    assert [pair.name for pair in FUTURES] == futures


def test_there_are_293_pairs_20_funding_currencies_and_a_price_for_every_leg() -> None:
    assert (len(PAIRS), len(FUNDING)) == (293, 20)
    assert all(CURRENCIES[leg].usd > 0 for pair in PAIRS for leg in (pair.base, pair.quote))


@pytest.mark.parametrize(
    ("name", "legs"),
    [
        ("BTCUSD", ("BTC", "USD")),
        ("AAABBB", ("AAA", "BBB")),
        ("BTC:CNHT", ("BTC", "CNHT")),
        ("TESTBTC:TESTUSDT", ("TESTBTC", "TESTUSDT")),
    ],
)
def test_a_pair_is_split_at_its_colon_or_in_the_middle(name: str, legs: tuple[str, str]) -> None:
    assert split_pair(name) == legs


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (230850.0, "230850"),
        (0.0, "0"),
        (-0.02, "-0.02"),
        (5.767e-05, "0.00005767"),
        (-2.084e-05, "-0.00002084"),
        (1e-06, "0.000001"),
        (4.9e-07, "4.9e-7"),
        (1e-08, "1e-8"),
        (47.914412330000005, "47.914412330000005"),
        (None, "null"),
    ],
)
def test_numbers_are_spelled_as_in_the_recordings(value: float | None, text: str) -> None:
    assert spell(value) == text


def test_every_number_of_the_recorded_tickers_is_spelled_the_same(recordings: Path) -> None:
    lines = (recordings / "ws_public/2021-2022_crypto-msg-parser_frames.jsonl").read_text()
    tickers = [line for line in lines.splitlines() if '"ticker"' in line]
    for line in tickers:
        texts = line[line.rindex("[") + 1 : -2].split(",")
        assert [spell(float(text)) for text in texts] == texts
    assert tickers


def test_prices_keep_five_significant_digits() -> None:
    assert [five(58123.46), five(123456.7), five(0.000057671234)] == [58123, 123460, 0.00005767]
    assert [step(58123.0), step(0.98)] == [1.0, pytest.approx(0.00001)]


def test_order_sizes_are_strings_with_a_point() -> None:
    assert order_sizes(58630.0) == ("0.00007", "300.0")
    assert order_sizes(0.0072) == ("600.0", "3000000000.0")
