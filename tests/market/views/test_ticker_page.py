import pytest

from market.quotes import FeedStatus, FundingQuote, Quote, Source
from market.views.ticker_page import TickerPage, Wish, heads

NOW = 1_700_000_009_500


def quote(symbol, last=100, volume=1, source=Source.LIVE, change=1.5):
    return Quote(symbol, last, 99, 101, change, 0.0152, volume, 110, 90, NOW - 9500, source)


FUNDING = FundingQuote(
    "fUSD", 0.00021, 0.0002, 0.00022, -1e-5, -0.05, 1e6, 0.0004, 0.0001, NOW, 1, 0.00025, 30, 2
)


def page(*quotes, status=None, **wish):
    return TickerPage(
        list(quotes),
        status,
        now_ms=NOW,
        wish=Wish.of(wish),
        curl_url=lambda symbol: f"/tickers/{symbol}/curl/",
    )


def symbols(rows):
    return [row["symbol"] for row in rows if not row["hidden"]]


def cells(row):
    return {cell.field: cell for cell in row["cells"]}


def test_prices_are_shown_as_received_and_said_plainly_beside():
    (row,) = page(quote("tBTCUSD", last=58123.5)).pairs
    assert cells(row)["last"][1:3] == ("58123.5", "58,123.5")


def test_the_percent_cell_holds_the_fraction_and_shows_percent():
    (row,) = page(quote("tBTCUSD")).pairs
    assert cells(row)["change-percent"][1:3] == ("0.0152", "+1.52%")


def test_a_row_says_its_age_and_how_it_is_known():
    (row,) = page(quote("tBTCUSD", source=Source.SNAPSHOT)).pairs
    assert (row["age"], row["age_text"], row["source"]) == (9, "9s", "snapshot")


def test_a_value_that_is_missing_is_a_dash_without_a_value():
    (row,) = page(quote("tBTCUSD", last=None)).pairs
    assert cells(row)["last"][1:3] == ("", "–")


def test_funding_rates_are_percent_a_day_with_their_period():
    (row,) = page(FUNDING).funding
    shown = cells(row)
    assert shown["last"][1:3] == ("0.00021", "0.02100%")
    assert shown["ask"].text == "0.02200%"
    assert (shown["bid"].note, shown["ask"].note) == ("30d", "2d")
    assert shown["frr"].text == "0.02500%"


def test_rows_come_by_turnover_with_paper_markets_last():
    rows = page(
        quote("tTESTBTC:TESTUSD", volume=9e9),
        quote("tLTCUSD", volume=5),
        quote("tBTCUSD", volume=7),
        quote("tXYZABC", volume=1e9),
    ).pairs
    assert symbols(rows) == ["tBTCUSD", "tLTCUSD", "tXYZABC", "tTESTBTC:TESTUSD"]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("symbol", ["tBTCUSD", "tLTCUSD"]),
        ("-symbol", ["tLTCUSD", "tBTCUSD"]),
        ("last", ["tLTCUSD", "tBTCUSD"]),
        ("-last", ["tBTCUSD", "tLTCUSD"]),
        ("no-such-column", ["tBTCUSD", "tLTCUSD"]),
        ("-trend", ["tBTCUSD", "tLTCUSD"]),
    ],
)
def test_rows_are_sorted_as_asked(sort, order):
    rows = page(quote("tLTCUSD", last=90), quote("tBTCUSD", last=200), sort=sort).pairs
    assert symbols(rows) == order


@pytest.mark.parametrize(
    ("wish", "shown"),
    [
        ({"q": "btc/usd"}, ["tBTCUSD"]),
        ({"q": "bitcoin"}, ["tBTCUSD"]),
        ({"q": "ethbtc"}, ["tETHBTC"]),
        ({"show": "BTC"}, ["tETHBTC"]),
        ({"show": "USD", "q": "eth"}, []),
        ({"show": "funding"}, ["fUSD"]),
    ],
)
def test_rows_are_filtered_but_stay_in_the_page(wish, shown):
    made = page(quote("tBTCUSD"), quote("tETHBTC"), FUNDING, **wish)
    assert symbols([*made.pairs, *made.funding]) == shown
    assert made.total == 3
    assert made.shown == len(shown)


def test_quote_currencies_to_filter_by_are_the_commonest_first_without_paper():
    made = page(quote("tETHBTC"), quote("tLTCUST"), quote("tBTCUST"), quote("tAAABBB"))
    assert made.shows == [("UST", "USDt"), ("BTC", "BTC")]


def test_pressing_the_sorted_column_turns_it_round():
    by_last = {head.field: head for head in heads(Wish(sort="-last"))}
    assert (by_last["last"].order, by_last["last"].next) == ("descending", "last")
    assert (by_last["bid"].order, by_last["bid"].next) == ("", "-bid")
    assert by_last["symbol"].next == "symbol"
    assert by_last["trend"].next == ""


def test_the_page_tells_the_feed_state_and_why():
    offline = FeedStatus(
        state="offline", since=0, at=0, retry_at=NOW + 12_000, reason="cannot reach Bitfinex"
    )
    made = page(quote("tBTCUSD"), status=offline)
    assert made.state == "offline"
    assert "cannot reach Bitfinex, next try in 12 s" in made.notice


def test_very_long_numbers_get_the_small_type():
    (row,) = page(quote("tSHIB:BTC", last=1.2345e-10)).pairs
    assert (cells(row)["last"].size, cells(row)["bid"].size) == ("long", "")


@pytest.mark.parametrize("huge", [1e30, 1e308, 10**400, -(10**400)])
def test_a_huge_number_leaves_the_page_and_its_other_rows(huge):
    bad = Quote("tETHUSD", huge, huge, huge, huge, huge, huge, huge, huge, NOW, Source.LIVE)
    rows = page(bad, quote("tBTCUSD")).pairs
    assert set(symbols(rows)) == {"tETHUSD", "tBTCUSD"}


def test_without_rows_the_page_says_nothing_of_values():
    offline = FeedStatus(state="offline", since=0, at=0, reason="cannot reach Bitfinex")
    assert page(status=offline).notice == "Offline: cannot reach Bitfinex."
    assert "last known" in page(quote("tBTCUSD"), status=offline).notice
