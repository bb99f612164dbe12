"""Matching against a frozen market at 50000 and between customers."""

from decimal import Decimal
from typing import Any

import pytest

from market.sandbox.house import House
from market.sandbox.state import Market
from market.sandbox.topics import Topic
from market.sandbox.trading import Trading
from market.sandbox.venue import MarketVenue, Print
from tests.market.sandbox.accounts import Customer

AT_MARKET, STOP = "EXCHANGE MARKET", "EXCHANGE STOP"


def best(house: House, *, bid: bool) -> float:
    price = house.venue.best("tBTCUSD", bid=bid)
    assert price is not None
    return float(price)


def status(row: list[Any]) -> str:
    return str(row[13])


def test_a_limit_order_below_the_market_rests_and_holds_its_money(alice: Customer) -> None:
    row = alice.submit(0.1, 40000)

    assert status(row) == "ACTIVE"
    assert alice.wallet("USD") == (100_000, 96_000)
    assert alice.notices() == ["on", "wu"]
    alice.ask("auth/w/order/cancel", id=row[0])
    assert status(alice.row(row[0])) == "CANCELED"
    assert alice.wallet("USD") == (100_000, 100_000)
    assert alice.notices() == ["oc", "wu"]


def test_an_order_that_crosses_trades_at_the_books_prices(alice: Customer, house: House) -> None:
    ask = best(house, bid=False)
    row = alice.submit(0.01, 60000)

    assert status(row) == f"EXECUTED @ {ask:g}(0.01)"
    assert (row[6], row[7], row[17]) == (0, 0.01, ask)
    assert alice.wallet("USD") == pytest.approx((100_000 - 0.01 * ask,) * 2)
    assert alice.wallet("BTC") == pytest.approx((10 + 0.01 * 0.998,) * 2)
    recorded_2017 = ["on", "wu", "wu", "oc", "te", "tu", "wu"]
    assert alice.notices() == ["on", "wu", *recorded_2017[1:]], "the reservation is told as well"


def test_a_market_order_walks_the_book(alice: Customer, house: House) -> None:
    offers = list(house.venue.offers("tBTCUSD", bid=True))
    first, second = offers[0].amount, offers[1].amount / 2
    row = alice.submit(f"-{first + second}", type=AT_MARKET)

    assert row[6] == 0
    assert row[13].startswith("EXECUTED @ ")
    assert ": was PARTIALLY FILLED @ " in row[13]
    average = (first * offers[0].price + second * offers[1].price) / (first + second)
    assert row[17] == pytest.approx(float(average), abs=1e-6)
    assert alice.notices() == ["on", "wu", "wu", "oc", "te", "te", "tu", "tu", "wu"]
    assert best(house, bid=True) == float(offers[1].price), "what was taken is gone"


def test_what_is_traded_is_public(alice: Customer, house: House) -> None:
    topic = Topic("trades", "tBTCUSD")
    house.source.open(topic, alice.clock)
    ask = best(house, bid=False)
    alice.submit(0.0123, type=AT_MARKET)

    ((_, (payload,)),) = [e for e in house.source.advance(alice.clock) if e.topic == topic]
    assert payload.startswith('"te",[')
    assert payload.endswith(f",0.0123,{ask:g}]")


def test_a_resting_order_fills_as_the_market_reaches_it(alice: Customer) -> None:
    number = alice.submit("0.5", 49000)[0]
    alice.notices()
    alice.price(48000)

    row = alice.row(number)
    assert status(row).startswith("EXECUTED @ 49000(")
    assert (row[6], row[17]) == (0, 49000)
    assert alice.wallet("USD") == pytest.approx((100_000 - 24_500,) * 2)
    trades = alice.ask("auth/r/trades/hist")
    assert {trade[8] for trade in trades} == {1}, "a maker"
    assert sum(trade[4] for trade in trades) == pytest.approx(0.5)
    assert sum(trade[9] for trade in trades) == pytest.approx(-0.0005, abs=1e-7), "0.1 %"


def test_a_resting_order_fills_in_parts(alice: Customer, house: House) -> None:
    number = alice.submit("1", 49000)[0]
    house.trading.fill(alice.order(number), Decimal("0.25"), alice.clock)

    row = alice.row(number)
    assert status(row) == "PARTIALLY FILLED @ 49000(0.25)"
    assert (row[6], row[7]) == (0.75, 1)
    assert alice.wallet("USD") == pytest.approx((100_000 - 12_250, 100_000 - 49_000))
    alice.ask("auth/w/order/cancel", id=number)
    assert status(alice.row(number)) == "CANCELED was: PARTIALLY FILLED @ 49000(0.25)"
    assert alice.wallet("USD") == pytest.approx((100_000 - 12_250,) * 2)


def test_a_trade_of_others_through_its_price_meets_an_order_first(
    alice: Customer, house: House
) -> None:
    number = alice.submit("0.5", 49990)[0]
    prints = [Print("tBTCUSD", Decimal(price), Decimal(amount))
              for price, amount in ((49991, "-1"), (49989, "1"), (49989, "-0.2"))]  # fmt: skip

    class Busy(MarketVenue):
        def prints(self) -> list[Print]:
            return prints

    market = house.source
    assert isinstance(market, Market)
    Trading(house.orders, house.settlement, Busy(market)).advance(alice.clock)
    assert status(alice.row(number)) == "PARTIALLY FILLED @ 49990(0.2)"
    house.trading.advance(alice.clock)
    assert market.watched == {"tBTCUSD"}


def test_customers_trade_with_each_other_by_price_and_time(
    alice: Customer, bob: Customer, house: House
) -> None:
    inside = int(best(house, bid=True) + best(house, bid=False)) // 2
    first, second = alice.submit("0.1", inside)[0], alice.submit("0.1", inside)[0]
    better = alice.submit("0.1", inside + 1)[0]

    row = bob.submit("-0.25", inside)
    assert (row[6], row[17]) == (0, pytest.approx(inside + 0.4))
    assert [alice.row(number)[6] for number in (better, first, second)] == [0, 0, 0.05]
    assert alice.wallet("BTC")[0] == pytest.approx(10 + 0.25 * 0.999)
    assert bob.wallet("BTC") == pytest.approx((9.75, 9.75))


def test_resting_orders_are_in_the_public_book_unless_hidden(alice: Customer, house: House) -> None:
    def levels() -> str:
        return "".join(house.source.book("tBTCUSD", "P0", 250))

    shown = alice.submit("0.1", 49990)[0]
    assert "[49990,1,0.1]" in levels()
    assert f"[{shown},49990,0.1]" in "".join(house.source.book("tBTCUSD", "R0", 250))
    alice.ask("auth/w/order/cancel", id=shown)
    hidden = alice.submit("0.1", 49990, flags=64)
    assert hidden[24] == 1
    assert "[49990,1,0.1]" not in levels()


def test_post_only_never_takes(alice: Customer) -> None:
    row = alice.submit("0.1", 60000, flags=4096)

    assert (status(row), row[6], row[31]) == ("POSTONLY CANCELED", 0.1, {"$F7": 1})
    assert alice.wallet("USD") == (100_000, 100_000)
    assert status(alice.submit("0.1", 40000, flags=4096)) == "ACTIVE"


def test_fill_or_kill_trades_all_or_nothing(alice: Customer, house: House) -> None:
    ask = best(house, bid=False)
    there = sum(o.amount for o in house.venue.offers("tBTCUSD", bid=False) if o.price <= ask)

    row = alice.submit(str(there + Decimal("0.1")), ask, type="EXCHANGE FOK")
    assert (status(row), row[17]) == ("FILLORKILL CANCELED", 0)
    assert status(alice.submit(str(there), ask, type="EXCHANGE FOK")).startswith("EXECUTED")


def test_immediate_or_cancel_trades_what_is_there(alice: Customer, house: House) -> None:
    ask = best(house, bid=False)
    there = sum(o.amount for o in house.venue.offers("tBTCUSD", bid=False) if o.price <= ask)

    row = alice.submit(str(there + Decimal("0.1")), ask, type="EXCHANGE IOC")
    assert status(row).startswith("IOC CANCELED was: PARTIALLY FILLED @ ")
    assert row[6] == pytest.approx(0.1)
    assert status(alice.submit("0.1", 40000, type="EXCHANGE IOC")) == "IOC CANCELED"
    assert alice.wallet("USD")[0] == alice.wallet("USD")[1]


def test_a_stop_waits_for_the_last_price(alice: Customer) -> None:
    number = alice.submit("-0.1", 45000, type=STOP)[0]
    alice.wait(1)
    assert status(alice.row(number)) == "ACTIVE"
    assert alice.wallet("BTC") == (10, 9.9)
    alice.notices()
    alice.price(44000)

    row = alice.row(number)
    assert (row[8], row[9]) == (AT_MARKET, STOP)
    assert status(row).startswith("EXECUTED @ ")
    assert alice.notices()[:2] == ["ou", "wu"]
    assert alice.wallet("BTC") == (9.9, 9.9)


def test_a_stop_limit_becomes_a_limit_order(alice: Customer) -> None:
    more = {"type": "EXCHANGE STOP LIMIT", "price_aux_limit": "54000"}
    number = alice.submit("0.1", 55000, **more)[0]
    assert alice.wallet("USD") == (100_000, 94_600)
    alice.price(56000)

    row = alice.row(number)
    assert (row[8], row[9], row[16], row[19]) == (
        "EXCHANGE LIMIT", "EXCHANGE STOP LIMIT", 54000, 54000,
    )  # fmt: skip
    assert status(row) == "ACTIVE"
    alice.price(53000)
    assert status(alice.row(number)).startswith("EXECUTED @ 54000(")


def test_a_trailing_stop_follows_the_market_one_way(alice: Customer) -> None:
    more = {"type": "EXCHANGE TRAILING STOP", "price_trailing": "1000"}
    number = alice.submit("-0.1", **more)[0]
    assert alice.row(number)[16] == 49000
    alice.price(52000)
    assert alice.row(number)[16] == 51000
    alice.price(51500)
    assert (alice.row(number)[16], status(alice.row(number))) == (51000, "ACTIVE")
    alice.price(50900)
    assert status(alice.row(number)).startswith("EXECUTED")


def test_a_stop_that_cannot_be_paid_any_more_ends(alice: Customer) -> None:
    number = alice.submit("1.9", 51000, type=STOP)[0]
    alice.price(60000)

    assert status(alice.row(number)) == "INSUFFICIENT BALANCE (G1)"
    assert alice.wallet("USD") == (100_000, 100_000)


def test_of_an_oco_one_half_ends_the_other(alice: Customer) -> None:
    body = {"type": "EXCHANGE LIMIT", "symbol": "tBTCUSD", "amount": "-0.1", "price": "55000",
            "flags": 16384, "price_oco_stop": "45000"}  # fmt: skip
    answer = alice.ask("auth/w/order/submit", **body)
    (limit, stop) = (row[0] for row in answer[4])
    assert answer[7] == "Submitting 2 orders."
    assert alice.row(stop)[25] == limit
    assert alice.wallet("BTC") == (10, 9.9)
    alice.price(44000)
    assert status(alice.row(stop)).startswith("EXECUTED")
    assert status(alice.row(limit)) == "CANCELED"
    assert alice.wallet("BTC") == (9.9, 9.9)

    alice.price(50000)
    limit, stop = (r[0] for r in alice.ask("auth/w/order/submit", **body)[4])
    alice.ask("auth/w/order/cancel", id=stop)
    assert status(alice.row(limit)) == "CANCELED"
    assert alice.wallet("BTC") == (9.9, 9.9)


def test_an_order_ends_when_its_time_is_over(alice: Customer) -> None:
    number = alice.submit("0.1", 40000, tif="2026-09-23 03:40:00")[0]
    alice.wait(100)
    assert status(alice.row(number)) == "ACTIVE"
    alice.wait(500)
    assert status(alice.row(number)) == "CANCELED"


def test_an_order_can_refuse_to_meet_its_own_kind(alice: Customer, house: House) -> None:
    inside = (best(house, bid=True) + best(house, bid=False)) / 2
    alice.submit("0.1", inside)

    shy = alice.submit("-0.1", inside, meta={"protect_selfmatch": 1})
    assert status(shy) == "ACTIVE"
    assert status(alice.submit("-0.1", inside)).startswith("EXECUTED")


def test_orders_rest_again_after_a_restart(alice: Customer, house: House) -> None:
    number = alice.submit("0.1", 49000)[0]
    house.orders.leave(alice.order(number))
    house.trading.load()
    alice.price(48000)

    assert status(alice.row(number)).startswith("EXECUTED")
