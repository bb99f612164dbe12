from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from accounts.policy import KeyPolicy
from market.bitfinex.orders import Flag, NewOrder
from market.order_checks import check, deviation, review, value_of
from market.order_errors import OrderRefused
from market.rates import Price

PRICES = {
    "tBTCUSD": Price(Decimal(99), Decimal(101), Decimal(100)),
    "tETHBTC": Price(None, None, Decimal("0.05")),
    "tXRPNOP": Price(None, None, Decimal(3)),
    "tDOTUSD": Price(None, None, None),
}
LIMIT = NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal(2), Decimal(90))
FREE = KeyPolicy(largest_order=Decimal(10**9), price_band=Decimal(10**6))


def order(**changed: Any) -> NewOrder:
    return replace(LIMIT, **changed)


def of_type(order_type: str, **prices: Any) -> NewOrder:
    return order(**{"order_type": order_type, "price": None, **prices})


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (order(), 180),  # a buyer pays his limit at most
        (order(price=Decimal(110)), 220),
        (order(side="sell"), 202),  # a seller gets the market where it is better
        (order(side="sell", price=Decimal(150)), 300),
        (of_type("EXCHANGE MARKET"), 202),
        (of_type("EXCHANGE STOP", price=Decimal(130)), 260),
        (of_type("EXCHANGE TRAILING STOP", price_trailing=Decimal(5)), 210),
        (of_type("EXCHANGE FOK", price=Decimal(90)), 180),
        (
            of_type("EXCHANGE STOP LIMIT", price=Decimal(120), price_aux_limit=Decimal(125)),
            250,
        ),
        (order(side="sell", flags=Flag.OCO, price_oco_stop=Decimal(160)), 320),
        (order(price=Decimal(1), flags=Flag.OCO, price_oco_stop=Decimal(2)), 202),
        (order(symbol="tETHBTC", price=Decimal("0.04")), 8),  # in BTC, which costs 100 USD
    ],
)
def test_an_order_is_worth_what_it_may_cost_at_worst(asked: NewOrder, value: int):
    assert value_of(asked, PRICES) == value


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [("tNOPUSD", "no_price"), ("tDOTUSD", "no_price"), ("tXRPNOP", "no_rate")],
)
def test_what_cannot_be_computed_is_refused(symbol: str, reason: str):
    with pytest.raises(OrderRefused) as caught:
        check(order(symbol=symbol), FREE, PRICES)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("asked", "away"),
    [
        (order(price=Decimal(110)), "0.1"),
        (order(price=Decimal(90)), "-0.1"),
        (order(side="sell", price=Decimal(90)), "0.1"),
        (of_type("EXCHANGE MARKET"), None),
        (of_type("EXCHANGE STOP LIMIT", price=Decimal(200), price_aux_limit=Decimal(210)), "0.05"),
        (order(symbol="tDOTUSD"), None),
    ],
)
def test_only_the_adverse_side_of_the_last_price_is_far(asked: NewOrder, away: str | None):
    assert deviation(asked, PRICES) == (None if away is None else Decimal(away))


@pytest.mark.parametrize(
    ("policy", "asked", "reason"),
    [
        (replace(FREE, symbols=("tETHUSD",)), order(), "symbol"),
        (replace(FREE, largest_order=Decimal("179.99")), order(), "largest_order"),
        (replace(FREE, price_band=Decimal("0.2")), order(price=Decimal("120.1")), "price_band"),
    ],
)
def test_the_policy_refuses_with_its_reason(policy: KeyPolicy, asked: NewOrder, reason: str):
    with pytest.raises(OrderRefused) as caught:
        check(asked, policy, PRICES)
    assert caught.value.reason == reason


def test_within_the_policy_the_value_is_told():
    policy = replace(FREE, symbols=("tBTCUSD",), largest_order=Decimal(180))
    assert check(order(), policy, PRICES) == 180


@pytest.mark.parametrize(
    ("asked", "age", "concerns"),
    [
        (order(), 3.0, []),
        (order(), 11.0, ["stale"]),
        (order(), None, ["no_price"]),
        (order(price=Decimal(106)), 1.0, ["far"]),
        (order(price=Decimal(105)), 1.0, []),
        (of_type("EXCHANGE MARKET"), 1.0, ["market_impact"]),
        (order(flags=Flag.OCO, price_oco_stop=Decimal(120)), 1.0, ["market_impact"]),
    ],
)
def test_the_review_names_what_to_look_at_twice(asked: NewOrder, age, concerns):
    assert review(asked, Decimal(1), PRICES, age).concerns == concerns
