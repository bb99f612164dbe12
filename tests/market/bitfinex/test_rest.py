import json
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bitfinex import rest
from market.bitfinex.errors import ExchangeError, Rejected, Unreadable
from market.bitfinex.messages import (
    Candle,
    FundingLevel,
    FundingTicker,
    Level,
    RawFundingLevel,
    RawLevel,
    Ticker,
    Trade,
)


@dataclass
class Hosts:
    public_rest: str = "https://public.test"
    rest: str = "https://signed.test"


def url(request: rest.Request[Any]) -> str:
    return request.url(Hosts()).removeprefix("https://public.test/v2/")


def answer(request: rest.Request[Any], body: object) -> Any:
    return rest.parse(request, 200, json.dumps(body).encode())


def samples(folder: Path, name: str) -> dict[str, Any]:
    lines = (folder / "rest" / name).read_text().splitlines()
    return {line["path"]: line["response"] for line in map(json.loads, lines)}


@pytest.mark.parametrize(
    ("request_", "address", "scope"),
    [
        (rest.platform_status(), "platform/status", "platform/status"),
        (rest.conf(["pub:list:pair:exchange"]), "conf/pub:list:pair:exchange", "conf"),
        (rest.tickers("ALL"), "tickers?symbols=ALL", "tickers"),
        (rest.tickers(["tBTCUSD", "fUSD"]), "tickers?symbols=tBTCUSD,fUSD", "tickers"),
        (rest.ticker("tAVAX:USD"), "ticker/tAVAX:USD", "ticker"),
        (rest.trades_hist("tBTCUSD", start=5), "trades/tBTCUSD/hist?limit=120&start=5", "trades"),
        (
            rest.candles("tBTCUSD", "1h", limit=2, end=7),
            "candles/trade:1h:tBTCUSD/hist?limit=2&end=7",
            "candles",
        ),
        (
            rest.candles("fUSD", "1D", period="a30:p2:p30"),
            "candles/trade:1D:fUSD:a30:p2:p30/hist?limit=100",
            "candles",
        ),
        (rest.book("tBTCUSD", "R0", 100), "book/tBTCUSD/R0?len=100", "book"),
    ],
)
def test_a_call_has_an_address_and_a_budget(request_: rest.Request[Any], address: str, scope: str):
    assert (url(request_), request_.scope) == (address, scope)


@pytest.mark.parametrize(
    "symbol",
    ["tBTCUSD/../auth", "t%0d%0aX", "t<script>", "", "BTCUSD", "tBTCUSD?x=1", "tbtcusd", "t" * 40],
)
@pytest.mark.parametrize(
    "build",
    [
        rest.ticker,
        rest.trades_hist,
        rest.book,
        lambda symbol: rest.tickers([symbol]),
        lambda symbol: rest.candles(symbol, "1h"),
    ],
)
def test_a_hostile_symbol_never_becomes_an_address(build: Any, symbol: str):
    with pytest.raises(ValueError, match="symbol"):
        build(symbol)


@pytest.mark.parametrize(
    "build",
    [
        lambda: rest.conf(["pub:list/../x"]),
        lambda: rest.candles("tBTCUSD", "2h"),
        lambda: rest.candles("tBTCUSD", "1h", limit=10_001),
        lambda: rest.candles("fUSD", "1h"),
        lambda: rest.trades_hist("tBTCUSD", limit=0),
        lambda: rest.book("tBTCUSD", "P5"),
        lambda: rest.book("tBTCUSD", "P0", 50),
    ],
)
def test_what_the_exchange_would_refuse_is_refused_here(build: Any):
    with pytest.raises(ValueError, match=r".+: .+"):
        build()


def test_the_platform_works_or_is_in_maintenance():
    assert answer(rest.platform_status(), [1]) is True
    assert answer(rest.platform_status(), [0]) is False


def test_conf_gives_one_value_for_each_key():
    request = rest.conf(["pub:list:currency", "pub:map:currency:sym"])
    assert answer(request, [["BTC"], [["UST", "USDt"]], "new"]) == [["BTC"], [["UST", "USDt"]]]
    with pytest.raises(Unreadable):
        answer(request, [["BTC"]])


def test_tickers_are_found_by_symbol_and_kind(recordings: Path):
    body = [
        ["tBTCUSD", 10645, 73.9, 10647, 75.2, 731.6, 0.0738, 10644.0, 14480.8, 10766, 9889.1, None],
        ["fUSD", 3e-4, 0.000316, 30, 168.1, 3e-4, 2, 1.4e8, -1e-5, -0.03, 3e-4, 1.5e8, 3e-4, 4e-7],
    ]
    found = answer(rest.tickers("ALL"), body)
    assert found["tBTCUSD"] == Ticker(
        10645, 73.9, 10647, 75.2, 731.6, 0.0738, 10644.0, 14480.8, 10766, 9889.1
    )
    assert (found["fUSD"].bid, found["fUSD"].bid_period) == (0.000316, 30)


def test_one_bad_row_does_not_cost_the_table():
    good = ["tETHUSD", *range(10)]
    bad: list[Any] = [[], [None], ["tX/../Y", *range(10)], ["tBTCUSD", "a"], ["tBTCUSD", 1]]
    bad += [None, 7, {}]
    assert list(answer(rest.tickers("ALL"), [*bad, good])) == ["tETHUSD"]
    with pytest.raises(Unreadable):
        answer(rest.tickers("ALL"), bad)
    assert answer(rest.tickers(["tBTCUSD"]), []) == {}


def test_a_number_beyond_all_bounds_costs_only_its_row():
    row = '["tETHUSD",1,1,1,1,1,1,1,1,1,1]'
    body = f'[["tBTCUSD",1e400,1,1,1,1,1,1,1,1,1],{row}]'.encode()
    found = rest.parse(rest.tickers("ALL"), 200, body)
    assert list(found) == ["tETHUSD"]


def test_recorded_answers_are_understood(recordings: Path):
    found = samples(recordings, "2022-2024_ccxt_recorded_responses.jsonl")
    trades = answer(rest.trades_hist("tBTCUST"), found["/v2/trades/tBTCUST/hist?limit=1"])
    assert trades == [Trade(1560452102, 1710327651446, 0.00019983, 73218)]
    ticker = answer(rest.ticker("tBTCUST"), found["/v2/ticker/tBTCUST"])
    assert (ticker.bid, ticker.last, ticker.low) == (73350, 73350, 68643)
    candles = answer(
        rest.candles("tBTCUST", "1h"), found["/v2/candles/trade:1h:tBTCUST/hist?limit=1"]
    )
    assert candles == [Candle(1552298400000, 3870.1, 3890, 3890, 3870.1, 0.05)]


def test_documented_answers_are_understood(recordings: Path):
    found = samples(recordings, "bitfinex.net_endpoint_samples.jsonl")
    books = [
        ("tETHUST", "P2", Level),
        ("tETHUST", "R0", RawLevel),
        ("fUSD", "P2", FundingLevel),
        ("fUSD", "R0", RawFundingLevel),
    ]
    for symbol, precision, kind in books:
        levels = answer(rest.book(symbol, precision), found[f"/v2/book/{symbol}/{precision}"])
        assert [type(level) for level in levels] == [kind]
    [pairs] = answer(
        rest.conf(["pub:list:pair:exchange"]), found["/v2/conf/pub:list:pair:exchange"]
    )
    assert "BTCUSD" in pairs


def test_a_funding_ticker_has_its_period_before_its_size():
    ticker = answer(rest.ticker("fUSD"), [1, 2, 30, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
    assert isinstance(ticker, FundingTicker)
    assert (ticker.bid_period, ticker.bid_size) == (30, 4)


def test_an_error_answer_is_raised_as_the_error_it_is():
    with pytest.raises(Rejected) as caught:
        rest.parse(rest.ticker("tBTCUSD"), 500, b'["error",10020,"symbol: invalid"]')
    assert caught.value.code == 10020


@pytest.mark.parametrize("body", [b"[", b"[]", b"[1,", b'[{"a":1}]', b"[[1,2],[3]]", b"[NaN]"])
@pytest.mark.parametrize("request_", [rest.platform_status(), rest.ticker("tBTCUSD")])
def test_a_cut_or_strange_answer_is_unreadable(request_: rest.Request[Any], body: bytes):
    with pytest.raises(Unreadable):
        rest.parse(request_, 200, body)


@given(status=st.sampled_from([200, 404, 500, 502]), body=st.binary(max_size=200))
def test_whatever_is_answered_ends_in_a_result_or_a_known_error(status: int, body: bytes):
    requests: list[rest.Request[Any]] = [rest.platform_status(), rest.tickers("ALL")]
    for request in requests:
        with suppress(ExchangeError):
            rest.parse(request, status, body)


def test_a_public_call_is_a_line_for_the_shell():
    line = rest.curl(rest.tickers(["tBTCUSD", "fUSD"]), Hosts())
    assert shlex.split(line) == [
        "curl",
        "--silent",
        "--show-error",
        "https://public.test/v2/tickers?symbols=tBTCUSD,fUSD",
    ]
    assert "'" in line  # the question mark is no pattern for the shell


def test_a_posted_call_carries_its_body_quoted():
    request = rest.Request("calc/fx", "calc/fx", json.loads, method="POST", body='{"a":"it\'s"}')
    words = shlex.split(rest.curl(request, Hosts()))
    assert words[words.index("--data") + 1] == '{"a":"it\'s"}'


def test_a_signed_call_is_never_copied():
    request = rest.Request("auth/r/wallets", "auth/r/wallets", json.loads, host="auth")
    assert request.url(Hosts()) == "https://signed.test/v2/auth/r/wallets"
    with pytest.raises(ValueError, match="only public calls"):
        rest.curl(request, Hosts())
