import json
from typing import Any

import pytest

from market.sandbox import rest
from market.sandbox.state import Market

START = 1_790_134_414.85
SYMBOLS = ("tBTCUSD", "tETHUSD", "tTESTBTC:TESTUSD", "tBTCF0:USTF0", "fUSD")


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(1, START, SYMBOLS)


def ask(market: Market, path: str, **query: str) -> Any:
    """The JSON of a good reply."""
    reply = rest.answer("GET", path, query, market)
    assert reply.status == 200, reply
    return json.loads(reply.body)


def test_platform_status_tells_maintenance(market: Market) -> None:
    assert ask(market, "/v2/platform/status") == [1]
    assert rest.answer("GET", "/v2/platform/status", {}, market, platform=0).body == "[0]"


def test_conf_answers_one_element_per_key_in_order(market: Market) -> None:
    path = "/v2/conf/pub:list:pair:futures,pub:nope,pub:list:pair:exchange"

    assert ask(market, path) == [["BTCF0:USTF0"], [], ["BTCUSD", "ETHUSD", "TESTBTC:TESTUSD"]]


def test_conf_maps_currencies_and_pairs(market: Market) -> None:
    (margin,) = ask(market, "/v2/conf/pub:list:pair:margin")
    labels, names = ask(market, "/v2/conf/pub:map:currency:label,pub:map:currency:sym")
    (info,) = ask(market, "/v2/conf/pub:info:pair")

    assert margin == ["BTCUSD", "ETHUSD", "TESTBTC:TESTUSD"]
    assert ["BTC", "Bitcoin"] in labels
    assert names == []
    assert info[0] == [
        "BTCUSD", [None, None, None, "0.00007", "300.0", None, None, None, 0.3, 0.15, None, None],
    ]  # fmt: skip


def test_tickers_put_the_symbol_before_the_ticker(market: Market) -> None:
    rows = ask(market, "/v2/tickers", symbols="ALL")

    assert {row[0] for row in rows} == set(SYMBOLS)
    for symbol, *row in rows:
        assert row == ask(market, f"/v2/ticker/{symbol}")


def test_tickers_leave_out_what_is_unknown(market: Market) -> None:
    rows = ask(market, "/v2/tickers", symbols="fUSD,tNOPE,tBTCUSD")

    assert [row[0] for row in rows] == ["fUSD", "tBTCUSD"]


def test_trades_are_newest_first_filtered_and_limited(market: Market) -> None:
    rows = ask(market, "/v2/trades/tBTCUSD/hist", limit="50")
    middle = rows[20][1]

    assert len(rows) == 50
    assert rows == sorted(rows, key=lambda row: -row[1])
    older = ask(market, "/v2/trades/tBTCUSD/hist", end=str(middle), limit="5")
    assert older[0][1] <= middle
    oldest_first = ask(market, "/v2/trades/tBTCUSD/hist", start=str(middle), sort="1", limit="3")
    assert [row[1] for row in oldest_first] == sorted(row[1] for row in rows[:21])[:3]


def test_candles_come_as_open_close_high_low(market: Market) -> None:
    rows = ask(market, "/v2/candles/trade:1h:tBTCUSD/hist", limit="10")

    assert len(rows) == 10
    assert all(row[4] <= min(row[1:3]) <= max(row[1:3]) <= row[3] for row in rows)
    assert ask(market, "/v2/candles/trade:1h:tBTCUSD/last") == rows[0]
    assert ask(market, "/v2/candles/trade:1D:fUSD:p30/last")


def test_books_list_bids_then_asks(market: Market) -> None:
    rows = ask(market, "/v2/book/tBTCUSD/P0", len="100")

    assert [row[2] > 0 for row in rows] == [True] * 100 + [False] * 100
    assert [row[0] for row in rows[:100]] == sorted((row[0] for row in rows[:100]), reverse=True)
    assert len(ask(market, "/v2/book/tBTCUSD/R0", len="1")) == 2
    assert len(ask(market, "/v2/book/fUSD/P0")[0]) == 4


def test_derivatives_have_a_status_and_unknown_keys_have_none(market: Market) -> None:
    (row,) = ask(market, "/v2/status/deriv", keys="tBTCF0:USTF0,tBTCUSD")

    assert (row[0], len(row)) == ("tBTCF0:USTF0", 24)
    assert ask(market, "/v2/status/deriv", keys="tNOPE") == []


@pytest.mark.parametrize(
    ("path", "query", "text"),
    [
        ("/v2/ticker/tNOPE", {}, "symbol: invalid"),
        ("/v2/trades/tNOPE/hist", {}, "symbol: invalid"),
        ("/v2/trades/tBTCUSD/hist", {"limit": "10001"}, "limit: invalid"),
        ("/v2/trades/tBTCUSD/hist", {"limit": "0"}, "limit: invalid"),
        ("/v2/trades/tBTCUSD/hist", {"start": "x"}, "start: invalid"),
        ("/v2/candles/trade:2m:tBTCUSD/hist", {}, "key: invalid"),
        ("/v2/candles/trade:1m:tNOPE/last", {}, "symbol: invalid"),
        ("/v2/book/tBTCUSD/P5", {}, "prec: invalid"),
        ("/v2/book/tBTCUSD/P0", {"len": "26"}, "len: invalid"),
        ("/v2/book/tNOPE/P0", {}, "symbol: invalid"),
        ("/v2/tickers", {}, "symbols: invalid"),
    ],
)
def test_bad_parameters_are_answered_with_500_and_10020(
    market: Market, path: str, query: dict[str, str], text: str
) -> None:
    reply = rest.answer("GET", path, query, market)

    assert (reply.status, json.loads(reply.body)) == (500, ["error", 10020, text])


@pytest.mark.parametrize(
    "path", ["/v2/nope", "/v1/tickers", "/", "/v2/conf", "/v2/ticker/", "/v2/trades/tBTCUSD",
             "/v2/book/tBTCUSD", "/v2/candles/trade:1m:tBTCUSD/first", "/v2/tickers/nope",
             "/v2/status/deriv/x", "/v2/platform/status/x"],
)  # fmt: skip
def test_unknown_paths_are_answered_with_an_html_404(market: Market, path: str) -> None:
    reply = rest.answer("GET", path, {}, market)

    assert (reply.status, reply.content_type) == (404, "text/html")
    assert f"Cannot GET /api{path}" in reply.body


def test_only_get_is_public_and_names_are_escaped(market: Market) -> None:
    assert rest.answer("POST", "/v2/tickers", {"symbols": "ALL"}, market).status == 404
    assert "<script>" not in rest.answer("GET", "/v2/<script>", {}, market).body


def test_every_endpoint_draws_on_its_own_rate() -> None:
    paths = ["/v2/platform/status", "/v2/conf/pub:x", "/v2/tickers", "/v2/ticker/tBTCUSD",
             "/v2/trades/tBTCUSD/hist", "/v2/candles/trade:1m:tBTCUSD/last",
             "/v2/book/tBTCUSD/P0", "/v2/status/deriv"]  # fmt: skip

    assert tuple(map(rest.endpoint, paths)) == rest.ENDPOINTS
    assert {rest.endpoint(path) for path in ("/", "/v2/nope", "/conf/x")} == {"other"}
