from collections.abc import Callable

import pytest

from market.sandbox.house import House
from market.sandbox.rules import Rates
from market.sandbox.state import Market
from tests.market.sandbox.accounts import ALL, START, Customer

SYMBOLS = ("tBTCUSD", "tETHUSD", "tUSTUSD", "tTESTBTC:TESTUSD", "tBTCF0:USTF0")


def fresh_house() -> House:
    """A house whose market does nothing of itself; tBTCUSD trades at 50000."""
    house = House(Market(1, START, SYMBOLS), Rates(), 1)
    house.source.control("freeze", {})
    house.source.control("price", {"symbol": "tBTCUSD", "price": 50000})
    return house


@pytest.fixture
def house() -> House:
    return fresh_house()


@pytest.fixture
def join(house: House) -> Callable[[str], Customer]:
    """Somebody with a key that may do everything but withdraw."""

    def join(name: str) -> Customer:
        house.bank.user(name, START)
        return Customer(house, house.keys.issue(name, name, ALL, START))

    return join


@pytest.fixture
def alice(join: Callable[[str], Customer]) -> Customer:
    return join("alice")


@pytest.fixture
def bob(join: Callable[[str], Customer]) -> Customer:
    return join("bob")
