"""Processes that want more than there is: no limit is exceeded, the budgets are used, cancels leave
at once, and after a block nothing leaves from any process. The exchange judges."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.trading_floor import Floor, KeysOfAlice, assert_true, wait_until

ORDERS = "auth/r/orders"
SMALL = {"auth/w/order/submit": 12, ORDERS: 20, "auth/w/order/cancel": 12}
NARROW = {"window": 6, "block": 3, "rates": SMALL | {"other": 500, "tickers": 500}}
SHORT = {"processes": 3, "seconds": 8}
LONG = {"processes": 8, "seconds": 130, "cancels": 10}
ON_ITS_WAY = 0.5  # seconds in which the others hear of a block


FULL = pytest.mark.full


@pytest.fixture
def open_floor(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[dict[str, Any]], Floor]]:
    with ExitStack() as stack:

        def start(rates: dict[str, Any]) -> Floor:
            url = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
            if request.param == "postgres":
                postgres: servers.Postgres = request.getfixturevalue("postgres")
                url = postgres.make_database(f"limits_{tmp_path.name[-40:]}")
            floor = Floor(tmp_path, url, rates, crew="tests.order_hunger")
            stack.callback(floor.close)
            return floor

        yield start


@pytest.mark.parametrize(
    ("open_floor", "rates", "plan", "limit", "window"),
    [
        pytest.param("sqlite", NARROW, SHORT, SMALL[ORDERS], 6, id="small"),
        pytest.param("sqlite", {}, LONG, 90, 60, marks=FULL, id="sqlite-real-rates"),
        pytest.param("postgres", {}, LONG, 90, 60, marks=FULL, id="postgres-real-rates"),
    ],
    indirect=["open_floor"],
)
def test_under_hunger_no_limit_is_exceeded_and_a_cancel_leaves_at_once(
    open_floor: Callable[[dict[str, Any]], Floor],
    rates: dict[str, Any],
    plan: dict[str, Any],
    limit: int,
    window: int,
):
    floor = open_floor(rates)
    desk = floor.open_desk(keys=2)
    done = floor.ask("hunger", keys=desk.uuids, **plan)
    counters, found = floor.exchange.counters(), desk.truth()
    print({**done, "most": counters["most_requests_in_a_window"], **found})
    assert counters["violations_total"] == 0
    assert counters["most_requests_in_a_window"][ORDERS] <= limit
    used = sum(
        count for what, count in done["outcomes"].items() if what in ("read ok", "look_up ok")
    )
    assert used >= 0.95 * limit * plan["seconds"] / window
    assert [state for state, _ in done["cancels"]] == ["requested"] * plan.get("cancels", 3)
    assert max(seconds for _, seconds in done["cancels"]) < 1
    assert_true(found)


@pytest.mark.parametrize(
    "open_floor", ["postgres", pytest.param("sqlite", marks=FULL)], indirect=True
)
def test_after_a_block_nothing_leaves_from_any_process_until_it_ends(
    open_floor: Callable[[dict[str, Any]], Floor],
):
    floor = open_floor(NARROW)
    desk = floor.open_desk(keys=2)
    with ThreadPoolExecutor(1) as threads:
        plan = {"processes": 3, "seconds": 9, "cancels": 0}
        eating = threads.submit(floor.ask, "hunger", keys=desk.uuids, **plan)
        wait_until(lambda: len(desk.arrivals()) > 10)
        floor.exchange.fault(kind="rate_limit", endpoint=ORDERS)
        done = eating.result(120)
    during, after = calls_since_block(desk)
    counters = floor.exchange.counters()
    print({**done, "calls during the block": during, "after it": after, **counters["violations"]})
    assert [at for at in during if at > ON_ITS_WAY] == []
    assert counters["requests_while_blocked"] == len(during) <= 2 * plan["processes"]
    assert after > 0
    assert counters["violations"].get("rest_rate", 0) == 0
    assert_true(desk.truth())


def calls_since_block(desk: KeysOfAlice) -> tuple[list[float], int]:
    """Of the calls after the one that was answered with the block: when those came that lie within
    it, in seconds after it began, and how many came later."""
    calls = desk.arrivals()
    began = next(call["at"] for call in calls if call["error"] == "fault")
    since = [round(call["at"] - began, 3) for call in calls if call["at"] > began]
    during = [at for at in since if at < NARROW["block"]]
    return during, len(since) - len(during)
