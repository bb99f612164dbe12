import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from market.bitfinex import rest
from market.instruments import KEYS, Instrument, read_instruments


def info(pair: str, smallest: Any, largest: Any) -> list[Any]:
    return [pair, [None, None, None, smallest, largest, None, None, None, 0.3, 0.15]]


def read(*rows: list[Any], futures: tuple[str, ...] = ()) -> dict[str, Instrument]:
    pairs = [row[0] for row in rows]
    return read_instruments([pairs, pairs[:1], list(futures), list(rows), []])


def test_a_pair_has_its_sizes_and_the_wallets_it_trades_in():
    found = read(info("BTCUSD", "0.00004", "2000.0"), info("AVAX:USD", "0.2", "5000.0"))
    assert found["tBTCUSD"] == Instrument(
        "tBTCUSD", frozenset({"exchange", "margin"}), Decimal("0.00004"), Decimal(2000)
    )
    assert found["tAVAX:USD"].kinds == {"exchange"}


def test_a_derivative_has_sizes_of_its_own_list():
    values = [["BTCUSD"], [], ["BTCF0:USTF0"], [], [info("BTCF0:USTF0", "0.0001", "100.0")]]
    assert read_instruments(values)["tBTCF0:USTF0"] == Instrument(
        "tBTCF0:USTF0", frozenset({"futures"}), Decimal("0.0001"), Decimal(100)
    )


@pytest.mark.parametrize(
    "size",
    [None, 0.1, 1, "", "0", "0.0", "-1", "1e5", "NaN", "1_000", "٣", " 1", "1,5", [], "9" * 40],
)
def test_a_size_that_is_no_number_is_unknown(size: Any):
    found = read(info("BTCUSD", size, "5"))["tBTCUSD"]
    assert (found.smallest, found.largest) == (None, Decimal(5))


def test_a_pair_without_a_row_or_with_a_short_one_has_unknown_sizes():
    found = read(["BTCUSD", [None]], ["ETHUSD", []], futures=("XF0:USTF0",))
    assert {(one.smallest, one.largest) for one in found.values()} == {(None, None)}
    assert set(found) == {"tBTCUSD", "tETHUSD", "tXF0:USTF0"}


def test_a_name_that_cannot_be_a_symbol_is_left_out():
    assert set(read(info("BTC/USD", "1", "2"), info("ETHUSD", "1", "2"))) == {"tETHUSD"}


@pytest.mark.parametrize(
    "values",
    [
        [],
        [["BTCUSD"]],
        [None, [], [], [], []],
        [[1], [], [], [], []],
    ],
)
def test_an_answer_of_another_shape_replaces_nothing(values: list[Any]):
    with pytest.raises(msgspec.ValidationError):
        read_instruments(values)


def test_the_keys_can_be_asked_for_in_one_call():
    request = rest.conf(KEYS)
    assert request.path == f"conf/{','.join(KEYS)}"
    values = rest.parse(request, 200, json.dumps([["BTCUSD"], [], [], [], []]).encode())
    assert set(read_instruments(values)) == {"tBTCUSD"}


def test_every_recorded_pair_has_a_smallest_and_a_largest_order(recordings: Path):
    lines = (recordings / "rest" / "bitfinex.net_endpoint_samples.jsonl").read_text().splitlines()
    by_path = {line["path"]: line["response"] for line in map(json.loads, lines)}
    pairs = by_path["/v2/conf/pub:info:pair"][0]
    futures = by_path["/v2/conf/pub:info:pair:futures"][0]
    names = [[name for name, _ in rows] for rows in (pairs, futures)]
    found = read_instruments([names[0], [], names[1], pairs, futures])
    assert len(found) == len(pairs) + len(futures) > 200
    sizes = [(one.smallest, one.largest) for one in found.values()]
    assert all(small and large and small < large for small, large in sizes)


@pytest.mark.parametrize("sizes", [None, {}, "x", [["BTCUSD"]], [[1, []]]])
def test_sizes_of_another_shape_are_unknown(sizes: Any):
    found = read_instruments([["BTCUSD"], [], [], sizes, []])
    assert found == {"tBTCUSD": Instrument("tBTCUSD", frozenset({"exchange"}))}
