import json
from decimal import Decimal
from pathlib import Path

import pytest

from market.sandbox.house import House
from market.sandbox.replay import Recording, Replay
from market.sandbox.rules import Rates
from market.sandbox.state import Market
from market.sandbox.venue import MarketVenue, Venue, venue_of
from tests.market.sandbox.accounts import ALL, START, Customer

EIGHT = "ws_public/2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"


@pytest.fixture
def market() -> Market:
    market = Market(1, START, ("tBTCUSD", "tUSTUSD", "tBTCF0:USTF0"))
    market.control("freeze", {})
    return market


@pytest.fixture
def replayed(recordings: Path) -> House:
    return House(Replay(Recording.read(recordings / EIGHT)), Rates(), 1)


def test_a_pair_is_as_conf_says(market: Market) -> None:
    listed = venue_of(market).listed

    assert set(listed) == {"tBTCUSD", "tUSTUSD", "tBTCF0:USTF0"}
    pair = listed["tBTCUSD"]
    assert (pair.base, pair.quote, pair.margin, pair.future) == ("BTC", "USD", True, False)
    assert 0 < pair.smallest < pair.largest
    assert listed["tBTCF0:USTF0"][1:3] == ("BTCF0", "USTF0")


def test_what_is_taken_leaves_the_book_and_is_traded(market: Market) -> None:
    venue = venue_of(market)
    first, second, *_ = venue.offers("tBTCUSD", bid=False)
    venue.take("tBTCUSD", bid=False, amount=first.amount + 1, price=first.price)

    left = next(venue.offers("tBTCUSD", bid=False))
    assert left.price >= second.price
    assert venue.last("tBTCUSD") == first.price
    assert json.loads(market.trades("tBTCUSD")[0].text)[2] == float(first.amount + 1)
    assert venue.best("tNOPE", bid=True) is None


def test_trades_of_others_are_told_where_somebody_waits(market: Market) -> None:
    venue = venue_of(market)
    market.control("freeze", {"on": False})
    market.advance(START + 60)
    assert venue.prints() == []
    venue.watch({"tBTCUSD"})
    market.advance(START + 120)
    prints = venue.prints()

    assert {printed.symbol for printed in prints} == {"tBTCUSD"}
    assert len(prints) > 10
    assert venue.prints() == []


@pytest.mark.parametrize(
    ("currency", "low", "high"),
    [("USD", 1, 1), ("TESTUSD", 1, 1), ("UST", 0.9, 1.1), ("BTC", 4e4, 8e4), ("LTC", 1, 1e3),
     ("NOPE", 0, 0)],
)  # fmt: skip
def test_a_currency_is_worth_its_last_price(
    market: Market, currency: str, low: float, high: float
) -> None:
    assert Decimal(low) <= venue_of(market).usd(currency) <= Decimal(high)


def test_customers_come_after_what_a_recording_offers(replayed: House) -> None:
    replayed.advance(START)
    replayed.advance(START + 60)
    maker, taker = (
        Customer(replayed, replayed.keys.issue(name, name, ALL, START)) for name in ("a", "b")
    )
    for name in ("a", "b"):
        replayed.bank.user(name, START)
    offers = list(replayed.venue.offers("tETHJPY", bid=False))
    rests = maker.submit("-1", str(offers[-1].price * 2), symbol="tETHJPY")
    replayed.bank.wallet("b", "exchange", "JPY").balance = Decimal(10**10)

    there = sum(offer.amount for offer in offers)
    row = taker.submit(str(there + Decimal("0.5")), symbol="tETHJPY", type="EXCHANGE MARKET")
    assert row[6] == 0
    assert maker.row(rests[0])[6] == -0.5


def test_orders_trade_on_a_recording_as_well(replayed: House) -> None:
    replayed.advance(START)
    replayed.advance(START + 60)
    replayed.bank.user("you", START)
    customer = Customer(replayed, replayed.keys.issue("", "you", ALL, START))
    wallet = replayed.bank.wallet("you", "exchange", "ETH")
    before = wallet.balance

    row = customer.submit("-0.5", symbol="tETHJPY", type="EXCHANGE MARKET")
    assert row[13].startswith("EXECUTED @ ")
    assert wallet.balance == before - Decimal("0.5")
    rests = customer.submit("-0.5", row[17] * 2, symbol="tETHJPY")
    assert rests[13] == "ACTIVE"
    assert isinstance(replayed.venue, Venue)
    assert not isinstance(replayed.venue, MarketVenue)
