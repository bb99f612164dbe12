import pytest

from market.listing import listing, turnover, usd_rates
from market.quotes import FundingQuote, Quote, Source


def quote(symbol, last=None, volume=None):
    facts = dict.fromkeys(("bid", "ask", "change", "change_percent", "high", "low"))
    return Quote(symbol=symbol, last=last, volume=volume, seen=0, source=Source.LIVE, **facts)


def test_a_pair_is_named_as_people_name_it():
    item = listing("tIOTUST")
    assert (item.label, item.name, item.quote_code) == ("IOTA/USDt", "Iota", "UST")


def test_an_unknown_currency_keeps_its_own_code():
    item = listing("tNEWCOIN:USD")
    assert (item.label, item.name) == ("NEWCOIN/USD", "")


def test_a_funding_currency_has_no_quote():
    item = listing("fUSD")
    assert (item.label, item.quote, item.funding) == ("USD funding", "", True)


@pytest.mark.parametrize("symbol", ["tTESTBTC:TESTUSD", "tAAABBB", "fTESTUSD"])
def test_paper_markets_are_marked(symbol):
    assert listing(symbol).paper


def test_rates_are_direct_where_there_is_such_a_pair():
    rates = usd_rates([quote("tETHBTC", 0.04), quote("tBTCUSD", 50_000), quote("tETHUSD", 2100)])
    assert rates == {"USD": 1.0, "BTC": 50_000.0, "ETH": 2100.0}


def test_rates_go_over_one_other_currency_in_either_direction():
    rates = usd_rates([quote("tUSTUSD", 2.0), quote("tNEWUST", 3.0), quote("tUST:CNHT", 8.0)])
    assert rates["NEW"] == 6.0
    assert rates["CNHT"] == 0.25


def test_paper_prices_make_no_rate():
    assert usd_rates([quote("tTESTBTC:TESTUSD", 50_000)]) == {"USD": 1.0}


def test_turnover_is_in_usd():
    assert turnover(quote("tETHBTC", last=0.5, volume=10), {"BTC": 50_000.0}) == 250_000.0


def test_turnover_of_a_lent_currency_is_its_volume_in_usd():
    row = FundingQuote(
        "fBTC", 0.1, None, None, None, None, 3, None, None, 0, Source.LIVE, None, None, None
    )
    assert turnover(row, {"BTC": 50_000.0}) == 150_000.0


@pytest.mark.parametrize(
    "row", [quote("tETHXYZ", 1, 1), quote("tETHUSD", None, 1), quote("tETHUSD", 1, None)]
)
def test_turnover_is_unknown_without_rate_price_or_volume(row):
    assert turnover(row, {"USD": 1.0}) is None


@pytest.mark.parametrize(
    "row",
    [
        quote("tETHUSD", 1, 10**400),
        quote("tETHUSD", 10**400, 1),
        quote("tETHUSD", 1e300, 1e300),
        quote("fUSD", 1, 10**400),
    ],
)
def test_turnover_is_unknown_where_it_is_too_large_for_a_float(row):
    assert turnover(row, {"USD": 1.0}) is None


def test_a_price_too_large_for_a_float_makes_no_rate():
    assert usd_rates([quote("tETHUSD", 10**400), quote("tUSDXYZ", 10**400)]) == {"USD": 1.0}
