"""Reconnects never hurry and the connection budget holds in every window."""

from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bitfinex.pacing import (
    Pace,
    connect_timeout,
    decide_connect,
    guarded_window_us,
    reconnect_delays,
)

WINDOW_US = 60_000_000


@given(st.integers())
def test_no_reconnect_is_quick_and_none_waits_longer_than_the_cap(seed: int) -> None:
    pace = Pace(floor=1, first=2, cap=60)
    delays = list(islice(reconnect_delays(pace, Random(seed)), 50))
    assert all(1 <= delay <= 61 for delay in delays)
    assert delays[0] <= 3


def test_the_width_of_the_jitter_doubles_up_to_the_cap() -> None:
    class Highest(Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    delays = reconnect_delays(Pace(floor=1, first=2, cap=10), Highest())
    assert list(islice(delays, 5)) == [3, 5, 9, 11, 11]


def test_an_attempt_is_given_up_before_its_place_in_the_window_is_free_again() -> None:
    assert guarded_window_us(60) == 70_000_000
    assert guarded_window_us(60) >= (60 + connect_timeout(60)) * 1e6


def test_attempts_within_the_limit_are_paid_and_remembered() -> None:
    decision = decide_connect([1, 2], 3, 20, WINDOW_US)
    assert (decision.wait_us, decision.ring) == (0, [1, 2, 3])


def test_the_attempt_over_the_limit_waits_until_the_oldest_has_left_the_window() -> None:
    decision = decide_connect([0, 10, 20], 30, 3, WINDOW_US)
    assert (decision.wait_us, decision.ring) == (WINDOW_US - 30, [0, 10, 20])
    assert decide_connect([0, 10, 20], WINDOW_US, 3, WINDOW_US).wait_us == 0


def test_a_lower_limit_leaves_a_reserve_for_others() -> None:
    ring = list(range(15))
    assert decide_connect(ring, 20, 15, WINDOW_US).wait_us == WINDOW_US - 20
    assert decide_connect(ring, 20, 20, WINDOW_US).wait_us == 0


def test_a_limit_of_nothing_pays_nothing() -> None:
    assert decide_connect([], 5, 0, WINDOW_US).wait_us == WINDOW_US


def test_a_clock_set_back_costs_one_window_and_no_more() -> None:
    hour_ahead = [3_600_000_000 + i for i in range(3)]
    decision = decide_connect(hour_ahead, 1_000, 3, WINDOW_US)
    assert (decision.wait_us, decision.ring) == (WINDOW_US, [1_000] * 3)
    assert decide_connect(decision.ring, 1_000 + WINDOW_US, 3, WINDOW_US).wait_us == 0


@given(
    st.lists(st.integers(0, 5_000_000), min_size=1, max_size=200),
    st.integers(1, 20),
    st.booleans(),
)
def test_no_window_ever_holds_more_than_the_limit(
    gaps: list[int], limit: int, patient: bool
) -> None:
    ring: list[int] = []
    paid: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        decision = decide_connect(ring, now, limit, WINDOW_US)
        if decision.wait_us and patient:
            now += decision.wait_us
            decision = decide_connect(decision.ring, now, limit, WINDOW_US)
            assert decision.wait_us == 0
        ring = decision.ring
        if not decision.wait_us:
            paid.append(now)
    for early, late in zip(paid, paid[limit:], strict=False):
        assert late - early >= WINDOW_US


@pytest.mark.parametrize("kept", [0, 5])
def test_the_ring_stays_short(kept: int) -> None:
    ring = list(range(0, 100 * WINDOW_US, WINDOW_US))
    assert len(decide_connect(ring, 99 * WINDOW_US, 20 - kept, WINDOW_US).ring) <= 2
