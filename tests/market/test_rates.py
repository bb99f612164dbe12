from decimal import Decimal

import pytest

from market.quotes import FundingQuote, Quote, Source
from market.rates import Price, exact, of_quotes, symbols_for, usd_rate


def at(last: str | None) -> Price:
    return Price(None, None, None if last is None else Decimal(last))


PRICES = {
    "tBTCUSD": at("60000"),
    "tUSTUSD": at("1.001"),
    "tETHBTC": at("0.05"),
    "tAVAX:USD": at("20"),
    "tUSTTRY": at("40"),
    "tXRPUSD": at(None),
}


@pytest.mark.parametrize(
    ("code", "rate"),
    [
        ("USD", "1"),
        ("BTC", "60000"),
        ("AVAX", "20"),
        ("UST", "1.001"),
        ("USTF0", "1.001"),  # collateral of derivatives
        ("TESTUSD", "1"),  # paper money
        ("ETH", "3000.00"),  # over BTC
        ("TRY", "0.025025"),  # only the other way round
        ("XRP", None),
        ("NOPE", None),
    ],
)
def test_a_currency_is_worth_what_its_pairs_say(code: str, rate: str | None):
    assert usd_rate(code, PRICES) == (None if rate is None else Decimal(rate))


def test_without_a_price_of_the_bridge_nothing_is_known():
    assert usd_rate("ETH", {"tETHBTC": at("0.05")}) is None


@pytest.mark.parametrize(
    ("number", "price"),
    [
        (3.8e-7, Decimal("3.8e-7")),
        (47.914412330000005, Decimal("47.914412330000005")),
        (60000, Decimal(60000)),
        (0, None),
        (-1.5, None),
        (float("inf"), None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_a_price_is_the_exchanges_own_spelling(number, price):
    assert exact(number) == price


def test_every_pair_that_may_tell_is_named():
    assert symbols_for("tBTCUSD")[0] == "tBTCUSD"
    assert {"tETHBTC", "tBTCUSD"} <= set(symbols_for("tETHBTC"))
    assert {"tUSTUSD", "tUST:USD"} <= set(symbols_for("tBTCF0:USTF0"))


def test_funding_currencies_have_no_price():
    pair = Quote("tBTCUSD", 1.5, 1.4, 1.6, 0, 0, 1, 1, 1, 0, Source.LIVE)
    funding = FundingQuote("fUSD", 1, 1, 1, 0, 0, 1, 1, 1, 0, Source.LIVE, 1, 2, 2)
    assert of_quotes([pair, funding]) == {
        "tBTCUSD": Price(Decimal("1.4"), Decimal("1.6"), Decimal("1.5"))
    }
