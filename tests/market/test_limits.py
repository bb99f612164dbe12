import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.limits import (
    BLOCK,
    LONGEST_WAIT,
    OTHER,
    RATES,
    Ask,
    Asked,
    Lane,
    Rate,
    Rates,
    Sent,
    Window,
    block_until,
    decide,
    read_rates,
    used,
)

START = 1_700_000_000_000_000
SECOND = 1_000_000
TEN = Rate(limit=10, kept=2)
SUBMIT = read_rates({}).of("auth/w/order/submit")


def at(*seconds: float, user: int | None = None) -> list[Sent]:
    return [Sent(START + round(one * SECOND), user) for one in seconds]


@dataclass
class Exchange:
    """One endpoint's log, and the clock its callers share."""

    rate: Rate = TEN
    window: Window = field(default_factory=Window)
    now: float = 0.0
    sent: list[float] = field(default_factory=list)

    def ask(self, lane: Lane = "read", user: int | None = None, wait: float = 0.0) -> float | None:
        """Seconds until the slot, or None."""
        ask = Ask(lane, user, round(wait * SECOND))
        now_us = START + round(self.now * SECOND)
        decision = decide(self.window, ask, self.rate, now_us)
        self.window = decision.window
        if decision.at_us is None:
            return None
        self.sent.append((decision.at_us - START) / SECOND)
        return (decision.at_us - now_us) / SECOND

    def burst(self, count: int, lane: Lane = "read", user: int | None = None) -> int:
        return sum(self.ask(lane, user) is not None for _ in range(count))

    @property
    def free_in(self) -> float:
        return (decide(self.window, Ask(), self.rate, self.us).free_us - self.us) / SECOND

    @property
    def us(self) -> int:
        return START + round(self.now * SECOND)


def busiest_sliding(times: Iterable[float], window: float = 60.0) -> int:
    ordered = sorted(times)
    return max(
        (bisect_left(ordered, begin + window) - place for place, begin in enumerate(ordered)),
        default=0,
    )


def busiest_fixed(times: Iterable[float], window: float = 60.0) -> int:
    return max(Counter(int(one // window) for one in times).values(), default=0)


# --- The budget -----------------------------------------------------------------------------------
def test_a_burst_after_idling_leaves_at_once_up_to_what_the_lane_may_have():
    exchange = Exchange()
    assert [exchange.ask() for _ in range(9)] == [0.0] * 8 + [None]


def test_the_next_slot_comes_a_guarded_window_after_the_first():
    exchange = Exchange()
    exchange.burst(8)
    exchange.now = 20.0
    assert exchange.free_in == 42.0
    assert exchange.ask(wait=41.9) is None
    assert exchange.ask(wait=42.0) == 42.0


def test_reservations_queue_behind_each_other():
    exchange = Exchange()
    for second in range(8):
        exchange.now = float(second)
        exchange.ask()
    assert [exchange.ask(wait=90) for _ in range(3)] == [55.0, 56.0, 57.0]


def test_a_refusal_takes_nothing():
    exchange = Exchange()
    exchange.burst(8)
    before = exchange.window.ring
    exchange.ask()
    assert exchange.window.ring == before


def test_cancels_and_look_ups_have_what_is_kept_for_them():
    exchange = Exchange()
    exchange.burst(8)
    assert exchange.ask("place") is None
    assert exchange.ask("cancel") == 0.0
    assert exchange.ask("look_up") == 0.0
    assert exchange.ask("cancel") is None


def test_a_cancel_leaves_before_reservations_made_earlier():
    exchange = Exchange()
    exchange.burst(8)
    exchange.now = 61.0
    assert [exchange.ask(wait=5) for _ in range(4)] == [1.0] * 4
    assert exchange.ask("cancel") == 0.0


def test_cancels_that_used_up_more_push_reading_back():
    exchange = Exchange()
    assert exchange.burst(10, "cancel") == 10
    assert exchange.ask(wait=61) is None
    assert exchange.ask(wait=62) == 62.0


def test_nothing_leaves_before_the_end_of_a_block():
    decision = decide(Window(), Ask(wait_us=SECOND), TEN, START, START + SECOND)
    assert decision.at_us == START + SECOND
    decision = decide(Window(), Ask("cancel"), TEN, START, START + SECOND)
    assert (decision.at_us, decision.free_us) == (None, START + SECOND)


def test_used_counts_what_was_sent_and_what_is_reserved():
    window = Window(at(-70, -61, -1, 5))
    assert used(window, TEN, START) == 3


# --- Clocks that step -----------------------------------------------------------------------------
@pytest.mark.parametrize("ahead", [LONGEST_WAIT + 1, 3600, 86400 * 365])
def test_a_log_from_the_future_costs_one_window_and_is_repaired_on_refusal(ahead: float):
    broken = Window(at(*[ahead] * 10))
    refused = decide(broken, Ask(), TEN, START)
    assert refused.free_us == START + 62 * SECOND
    assert refused.window.ring == at(*[0] * 10)
    later = decide(refused.window, Ask(), TEN, START + 62 * SECOND)
    assert later.at_us == START + 62 * SECOND


def test_a_block_is_never_longer_than_the_exchanges_own():
    assert block_until(START + 5 * SECOND, START, BLOCK) == START + 5 * SECOND
    assert block_until(START + 3600 * SECOND, START, BLOCK) == START + 60 * SECOND


def test_a_mark_from_the_future_is_dropped():
    window = Window(at(*[0] * 8), [Asked(START + 3600 * SECOND, 2)])
    assert [one.user for one in decide(window, Ask(), TEN, START).window.asked] == [None]


# --- Fairness -------------------------------------------------------------------------------------
ALICE, BOB, CHARLIE = 1, 2, 3
THIRTY = Rate(limit=33, kept=3)


def test_one_user_alone_may_have_it_all():
    assert Exchange(THIRTY).burst(40, user=ALICE) == 30


def test_who_was_turned_away_gets_his_share_when_the_window_frees():
    exchange = Exchange(THIRTY)
    exchange.burst(30, user=ALICE)
    exchange.now = 5.0
    assert exchange.ask(user=BOB) is None
    exchange.now = 62.0
    assert exchange.burst(40, user=ALICE) == THIRTY.share(2) == 10
    assert exchange.burst(10, user=BOB) == 10


def test_once_all_who_wait_have_their_share_the_rest_is_free_to_take():
    exchange = Exchange(THIRTY)
    exchange.burst(30, user=ALICE)
    exchange.ask(user=BOB)
    exchange.now = 62.0
    exchange.burst(10, user=BOB)
    assert exchange.burst(40, user=ALICE) == 20


def test_who_never_comes_back_holds_up_nobody_for_long():
    exchange = Exchange(THIRTY)
    exchange.burst(30, user=ALICE)
    exchange.ask(user=BOB)
    exchange.now = 62.0 + 62.0 / 3
    assert exchange.burst(40, user=ALICE) == 30


def test_the_installation_itself_is_never_held_back_by_shares():
    exchange = Exchange(THIRTY)
    exchange.burst(30, user=None)
    exchange.ask(user=BOB)
    exchange.now = 62.0
    assert exchange.burst(40, user=None) == 30


def test_a_waiting_installation_holds_back_a_greedy_user():
    exchange = Exchange(THIRTY)
    exchange.burst(30, user=ALICE)
    exchange.ask(user=None)
    exchange.now = 62.0
    assert exchange.burst(40, user=ALICE) == 10


def test_a_share_is_kept_to_in_reservations_ahead_too():
    exchange = Exchange(THIRTY)
    exchange.burst(30, user=ALICE)
    exchange.ask(user=BOB)
    exchange.now = 60.0
    waits = [exchange.ask(user=ALICE, wait=20) for _ in range(12)]
    assert waits == [2.0] * 10 + [None] * 2
    assert exchange.ask(user=BOB, wait=20) == 2.0


@pytest.mark.no_cover  # counting lines would take as long again
def test_three_greedy_users_and_a_modest_one_all_get_through():
    exchange = Exchange(SUBMIT)
    got: Counter[int] = Counter()
    rng = random.Random(1)
    for step in range(0, 600 * 20):
        exchange.now = step / 20
        greedy = rng.choice([ALICE, BOB, CHARLIE])
        if exchange.ask(user=greedy) is not None:
            got[greedy] += 1
        if step % 40 == 0 and exchange.ask(user=4) is not None:
            got[4] += 1
    assert min(got[user] for user in (ALICE, BOB, CHARLIE)) > 0.2 * sum(got.values())
    assert got[4] > 100


# --- Never above the limit ------------------------------------------------------------------------
LANES: Sequence[Lane] = ("read", "place", "look_up", "cancel", "burn")
arrivals = st.lists(
    st.tuples(
        st.floats(0, 20),  # seconds since the arrival before
        st.sampled_from(LANES),
        st.sampled_from([None, ALICE, BOB]),
        st.sampled_from([0.0, 1.0, 10.0, 90.0]),  # patience
        st.floats(0, 1),  # late to leave
        st.floats(0, 1),  # longer on the way
        st.integers(1, 12),  # calls at once
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(arrivals=arrivals, limit=st.integers(1, 12))
def test_no_minute_ever_holds_more_than_the_limit(arrivals: list[Any], limit: int):
    exchange = Exchange(Rate(limit=limit, kept=min(limit - 1, 2)))
    arrived = []
    for pause, lane, user, patience, late, way, count in arrivals:
        exchange.now += pause
        for _ in range(count):
            wait = exchange.ask(lane, user, patience)
            if wait is not None:
                arrived.append(exchange.now + wait + late + way)
    assert busiest_sliding(arrived) <= limit
    assert busiest_fixed(arrived) <= limit


@pytest.mark.parametrize("pattern", ["steady", "bursts", "random"])
@pytest.mark.no_cover  # counting lines would take as long again
def test_an_hour_of_demand_keeps_to_ninety_a_minute_and_uses_them(pattern: str):
    exchange, rng = Exchange(SUBMIT), random.Random(7)
    arrived: list[float] = []
    for tick in range(3600 * 4):
        exchange.now = tick / 4
        count = {"steady": 1, "bursts": 200 * (tick % 400 == 0), "random": rng.choice([0, 0, 3])}
        for _ in range(count[pattern]):
            lane: Lane = rng.choice(LANES)
            wait = exchange.ask(lane, None, rng.choice([0.0, 5.0]))
            if wait is not None:
                arrived.append(exchange.now + wait + rng.random() + rng.random())
    assert busiest_sliding(arrived) <= 90
    assert busiest_fixed(arrived) <= 90
    if pattern != "bursts":
        assert len(arrived) >= 0.95 * 90 * 60


# --- The table ------------------------------------------------------------------------------------
def test_every_endpoint_has_its_rate_and_the_unnamed_have_the_documented_ninety():
    rates = read_rates({})
    assert rates.of("tickers") == Rate(limit=30, kept=1)
    assert rates.of("auth/w/order/submit") == Rate(limit=90, kept=2)
    assert rates.of("liquidations") == Rate(limit=3, kept=1)


def test_endpoints_that_settle_orders_keep_a_quarter_for_cancels_and_look_ups():
    rates = read_rates({})
    for scope in ("auth/r/orders", "auth/w/order/cancel", "auth/w/order/cancel/multi"):
        assert rates.of(scope) == Rate(limit=90, kept=22)


@pytest.mark.parametrize("limit", range(1, 300))
def test_every_rate_leaves_something_to_every_lane(limit: int):
    rate = Rates({OTHER: limit}).of("anything")
    assert 1 <= rate.cap("read") <= rate.cap("cancel") == limit
    assert rate.share(1000) == 1


def test_given_rates_replace_the_documented_ones():
    rates = read_rates({"window": 6, "block": 3, "ws": 5, "channels": 2, "rates": {"tickers": 3}})
    assert (rates.window, rates.block, rates.connects) == (6, 3, 5)
    assert rates.of("tickers").limit == 3
    assert rates.of("book").limit == RATES["book"]
    assert rates.of("tickers").guarded_us == 6_500_000


def test_a_block_is_as_long_as_a_given_window():
    assert read_rates({"window": 2}).block == 2


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"windw": 60}, "windw"),
        ({"window": 0}, "window"),
        ({"window": "60"}, "window"),
        ({"window": float("nan")}, "window"),
        ({"block": float("inf")}, "block"),
        ({"ws": 1.5}, "ws"),
        ({"ws": True}, "ws"),
        ({"rates": []}, "rates"),
        ({"rates": {"tickers": -1}}, "tickers"),
        ({"rates": {"tickers": None}}, "tickers"),
    ],
)
def test_a_bad_rate_is_named(given: dict[str, Any], named: str):
    with pytest.raises(ValueError, match=named):
        read_rates(given)
