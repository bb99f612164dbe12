from collections.abc import Callable

import pytest
from pytest_django import Settings

from market.bitfinex.pacing import guarded_window_us
from market.budget import pay_connect, use_up_connects
from market.models import ConnectBudget

pytestmark = pytest.mark.django_db
START = 1_700_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pay(clock: Clock) -> Callable[[], float]:
    return lambda: pay_connect(now_us=clock)


def test_twenty_attempts_a_minute_are_paid_at_once_and_the_next_one_waits(
    pay: Callable[[], float], clock: Clock
):
    assert [pay() for _ in range(20)] == [0] * 20
    wait = pay()
    assert wait == guarded_window_us() / 1_000_000 > 60
    clock.go(wait)
    assert pay() == 0


def test_an_attempt_is_in_the_ledger_before_it_is_made(pay: Callable[[], float]):
    pay()
    row = ConnectBudget.objects.get()
    assert (row.scope, row.ring) == ("default|public", [START])


def test_hosts_have_ledgers_of_their_own(pay: Callable[[], float], clock: Clock):
    for _ in range(20):
        pay()
    assert pay_connect("auth", now_us=clock) == 0


def test_a_clock_set_back_costs_one_window_at_most(pay: Callable[[], float], clock: Clock):
    for _ in range(20):
        pay()
    clock.go(-3600)
    wait = pay()
    assert 0 < wait <= guarded_window_us() / 1_000_000
    clock.go(wait)
    assert pay() == 0


def test_given_rates_replace_the_documented_ones(settings: Settings, pay: Callable[[], float]):
    settings.BFX_RATES = {"window": 2, "ws": 3}
    assert [pay() for _ in range(3)] == [0, 0, 0]
    assert 2 < pay() < 3


def test_the_databases_own_clock_counts_when_none_is_given():
    assert pay_connect() == 0
    [paid_us] = ConnectBudget.objects.get().ring
    assert paid_us > START


def test_first_connects_leave_a_quarter_for_reconnects(clock: Clock):
    first = [pay_connect(reconnect=False, now_us=clock) for _ in range(16)]
    assert [wait == 0 for wait in first] == [True] * 15 + [False]
    again = [pay_connect(now_us=clock) for _ in range(6)]
    assert [wait == 0 for wait in again] == [True] * 5 + [False]


def test_once_limited_nobody_connects_for_a_whole_window(pay: Callable[[], float], clock: Clock):
    use_up_connects(now_us=clock)
    assert pay() == guarded_window_us() / 1_000_000
