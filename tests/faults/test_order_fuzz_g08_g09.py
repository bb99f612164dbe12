"""G8 and G9: orders are placed and settled by processes that are killed at every point, at an
exchange that loses, cuts, delays and holds back what it is sent and what it answers.

An order leaves at most once, and every one ends in a true state within a minute after the exchange
answers again. The figures are printed.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from market import client, resolver
from market.models import OrderState
from market.prices import known_prices
from tests import servers
from tests.trading import SUBMIT, SYMBOL, Desk
from tests.trading_floor import Floor, assert_true, wait_until

FAST = {"window": 2, "rates": {"other": 400, "tickers": 200}}
SEVEN_MAKE_A_THIRD = 0.06  # 1 - (1 - 0.06) ** 7 = 35 %
EACH: dict[str, Any] = {"share": SEVEN_MAKE_A_THIRD, "times": 10**9, "endpoint": "auth/*"}
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 502},
    {"kind": "cut"},
    {"kind": "truncate"},
    {"kind": "lost"},
    {"kind": "lost", "before": True},
    {"kind": "slow", "seconds": 1.5},
)
HELD, HELD_A_LITTLE = 2.5, 0.8  # s on the way there; the limiter allows for one of 1 s


@pytest.fixture
def open_floor(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[str, dict[str, Any]], Floor]]:
    with ExitStack() as stack:

        def start(database: str, rates: dict[str, Any]) -> Floor:
            url = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
            if database == "postgres":
                postgres: servers.Postgres = request.getfixturevalue("postgres")
                url = postgres.make_database(f"fuzz_{tmp_path.name[-40:]}")
            floor = Floor(tmp_path, url, rates, crew="tests.order_fuzz")
            stack.callback(floor.close)
            return floor

        yield start


@pytest.mark.parametrize(
    ("database", "rates", "plan"),
    [
        pytest.param("sqlite", FAST, {"orders": 40, "kills": 8, "pace": 5.0}, id="small"),
        *(
            pytest.param(
                database,
                FAST,
                {"orders": 1000, "kills": 300, "traders": 6, "resolvers": 2},
                marks=pytest.mark.full,
                id=f"{database}-1000",
            )
            for database in ("sqlite", "postgres")
        ),
        pytest.param(
            "postgres",
            {},
            # As fast as the real table lets them: nearly every order would be refused else.
            {"orders": 300, "kills": 90, "traders": 4, "resolvers": 2, "rest": 2.5},
            marks=pytest.mark.full,
            id="real-rates",
        ),
    ],
)
def test_g08_g09_orders_leave_once_and_end_true_whoever_dies(
    open_floor: Callable[[str, dict[str, Any]], Floor],
    database: str,
    rates: dict[str, Any],
    plan: dict[str, Any],
):
    floor = open_floor(database, rates)
    desk = floor.open_desk(keys=2 if plan["orders"] < 100 else 4)
    # Where all of a limit is used, a packet that is later than that exceeds it, whoever sends.
    held = {"kind": "hold", "seconds": HELD if rates else HELD_A_LITTLE}
    for fault in (*FAULTS, held):
        floor.exchange.fault(**EACH | fault)
    done = floor.ask("fuzz", keys=desk.uuids, **plan)
    floor.exchange.stop_faults()
    found, counters = desk.truth(), floor.exchange.counters()
    print({**done, **found, "violations": counters["violations"]})
    assert found["intents"] >= plan["orders"]
    assert done["killed"] >= 0.9 * plan["kills"]
    assert_true(found)
    assert found["settle_s"] <= 60
    assert counters["violations_total"] == 0


# --- A packet that is delayed on its way ----------------------------------------------------------
@pytest.fixture
def held(desk: Desk) -> Desk:
    """The next order is held back, and its reply awaited for a second only."""
    known_prices(SYMBOL)  # of the public half, which is not asked in such a hurry
    client.client()._patience = client.Patience(read=1.0)
    desk.exchange.fault(kind="hold", seconds=4, endpoint=SUBMIT)
    return desk


def test_g09_an_order_held_back_on_its_way_is_not_taken_after_the_resolver_has_looked(held: Desk):
    intent = held.place()
    wait_until(lambda: bool(held.sent(SUBMIT)))
    [order] = held.sent(SUBMIT)
    assert order["error"] == "nonce: small"  # it came, and the fence stood
    assert (intent.state, held.orders()) == (OrderState.NOT_PLACED, [])


def test_g09_without_the_look_the_same_order_would_have_been_taken(held: Desk):
    intent = held.place(follow=0)
    assert intent.state == OrderState.UNKNOWN
    wait_until(lambda: len(held.orders()) == 1)
    resolver.follow(intent, 20)
    assert intent.state == OrderState.ACCEPTED
