"""What the tests of order pages share: Alice's browser, Bob's, and a market with a price."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from market.hub import hub
from market.quotes import FeedStatus, Quote, Source, encode
from tests.accounts.sessions import browser_of, give_factor
from tests.factories import make_user
from tests.trading import SYMBOL, Desk

LIVE = FeedStatus(state="live", since=0, at=0, sockets=1, wanted=1)


def quote_row(symbol: str, last: float, seen_ms: int, source: Source = Source.LIVE) -> str:
    quote = Quote(symbol, last, last - 10, last + 10, 1, 0.01, 5, last, last, seen_ms, source)
    return encode(quote).decode()


@pytest.fixture
def market() -> Iterator[Callable[..., None]]:
    """`market(tBTCUSD=40_000)`: the live prices of this process; `age` in seconds."""

    def fill(age: float = 0.0, source: Source = Source.LIVE, **prices: float) -> None:
        hub.cache_clear()
        seen = int((time.time() - age) * 1000)
        rows = {name: quote_row(name, price, seen, source) for name, price in prices.items()}
        hub().apply(rows, LIVE, now=1.0, full=True)

    hub.cache_clear()
    yield fill
    hub.cache_clear()


@pytest.fixture
def prices(market: Callable[..., None]) -> Callable[..., None]:
    market(**{SYMBOL: 40_000, "tETHUSD": 2_000})
    return market


@pytest.fixture
def alice_browser(desk: Desk, prices: Callable[..., None]) -> Client:
    """Alice's, who has an armed key at a real sandbox exchange."""
    give_factor(desk.owner)
    return browser_of(desk.owner, proof="mfa")


@pytest.fixture
def bob_browser(desk: Desk) -> Client:
    bob: User = make_user("bob")
    give_factor(bob)
    return browser_of(bob, proof="mfa")


@pytest.fixture
def ticket(desk: Desk) -> Callable[..., dict[str, Any]]:
    """What Alice types; the price rests below the market."""

    def fields(**changes: Any) -> dict[str, Any]:
        usual = {
            "key": str(desk.key.pk),
            "symbol": SYMBOL,
            "side": "buy",
            "order_type": "EXCHANGE LIMIT",
            "amount": "0.01",
            "price": "39000",
        }
        return {name: value for name, value in (usual | changes).items() if value is not None}

    return fields
