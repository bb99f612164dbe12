"""Symbols come from the exchange's own lists, and nothing else passes as one."""

import json
from pathlib import Path

import pytest

from market.bitfinex.symbols import (
    is_funding,
    is_paper,
    is_symbol,
    split_pair,
    trading_symbols,
)


def listed(recordings: Path, name: str) -> list[str]:
    lists = json.loads((recordings / "rest/2021-04-17_conf_pub_lists.json").read_text())
    (body,) = [reply["body"][0] for url, reply in lists.items() if url.endswith(name)]
    return list(body)


def test_every_pair_of_the_real_list_is_a_symbol(recordings: Path) -> None:
    pairs = listed(recordings, "pub:list:pair:exchange")
    assert len(trading_symbols(pairs)) == len(pairs) == 293


def test_every_derivative_is_a_symbol_the_long_ones_too(recordings: Path) -> None:
    lines = (recordings / "rest" / "bitfinex.net_endpoint_samples.jsonl").read_text().splitlines()
    by_path = {line["path"]: line["response"] for line in map(json.loads, lines)}
    [rows] = by_path["/v2/conf/pub:info:pair:futures"]
    names = [name for name, _ in rows]
    assert trading_symbols(names) == [f"t{name}" for name in names]
    assert "AUSTRALIA200IXF0:USTF0" in names


def test_every_real_pair_splits_into_two_listed_currencies(recordings: Path) -> None:
    currencies = set(listed(recordings, "pub:list:currency"))
    for symbol in trading_symbols(listed(recordings, "pub:list:pair:exchange")):
        base, quote = split_pair(symbol, currencies)
        assert {base, quote} <= currencies, symbol


@pytest.mark.parametrize(
    ("symbol", "legs"),
    [
        ("tBTCUSD", ("BTC", "USD")),
        ("tBTC:CNHT", ("BTC", "CNHT")),
        ("tTESTBTC:TESTUSD", ("TESTBTC", "TESTUSD")),
        ("tBTCF0:USTF0", ("BTCF0", "USTF0")),
    ],
)
def test_a_pair_splits_without_a_list_too(symbol: str, legs: tuple[str, str]) -> None:
    assert split_pair(symbol) == legs


def test_the_list_of_currencies_decides_before_the_length() -> None:
    assert split_pair("tLUNAUSD", {"LUNA", "USD"}) == ("LUNA", "USD")
    assert split_pair("tLUNAUSD") == ("LUN", "AUSD")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t",
        "tAB",
        "BTCUSD",
        "tbtcusd",
        "tBTCUSD\n",
        "tBTCUSD/../auth",
        "t<script>",
        "tБТЦUSD",
        "t" + "A" * 31,
        "t%0d%0a",
        "tBTC USD",
        "xBTCUSD",
    ],
)
def test_hostile_text_is_no_symbol(text: str) -> None:
    assert not is_symbol(text)


def test_unfit_names_of_a_list_are_left_out() -> None:
    assert trading_symbols(["BTCUSD", "btcusd", "A/../B", ""]) == ["tBTCUSD"]


def test_paper_markets_are_known_by_their_currencies() -> None:
    paper = ["tTESTBTC:TESTUSD", "tAAABBB", "tBTCF0:TESTUSDTF0", "fTESTUSD"]
    real = ["tBTCUSD", "tAAVE:USD", "tBBLUSD", "fUSD"]
    assert [is_paper(symbol) for symbol in paper] == [True] * 4
    assert [is_paper(symbol) for symbol in real] == [False] * 4


def test_funding_currencies_are_told_from_pairs() -> None:
    assert is_funding("fUSD")
    assert not is_funding("tUSDCHF")
