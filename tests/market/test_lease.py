import pytest

from market.lease import LONGEST, hold, release
from market.models import FeedLease

pytestmark = pytest.mark.django_db


class Clock:
    now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_holds_and_the_second_stands_by(clock: Clock):
    assert hold(0, "alice", 15, now_us=clock)
    assert not hold(0, "bob", 15, now_us=clock)


def test_a_holder_keeps_its_lease_by_asking_again(clock: Clock):
    hold(0, "alice", 15, now_us=clock)
    clock.go(10)
    assert hold(0, "alice", 15, now_us=clock)
    clock.go(10)
    assert not hold(0, "bob", 15, now_us=clock)


def test_another_takes_over_once_the_lease_has_run_out(clock: Clock):
    hold(0, "alice", 15, now_us=clock)
    clock.go(15)
    assert hold(0, "bob", 15, now_us=clock)
    assert not hold(0, "alice", 15, now_us=clock)


def test_a_lease_given_back_is_free_at_once(clock: Clock):
    hold(0, "alice", 15, now_us=clock)
    release(0, "alice")
    assert hold(0, "bob", 15, now_us=clock)


def test_nobody_gives_back_what_another_holds(clock: Clock):
    hold(0, "alice", 15, now_us=clock)
    release(0, "bob")
    assert not hold(0, "bob", 15, now_us=clock)


def test_ranges_are_held_apart(clock: Clock):
    assert hold(0, "alice", 15, now_us=clock)
    assert hold(1, "bob", 15, now_us=clock)


def test_a_lease_far_in_the_future_comes_from_a_stepped_clock_and_is_free(clock: Clock):
    far = clock.now + round((LONGEST + 1) * 1_000_000)
    FeedLease.objects.create(range=0, holder="alice", expires_us=far)
    assert hold(0, "bob", 15, now_us=clock)


@pytest.mark.parametrize("ttl", [0, -1, LONGEST + 1])
def test_a_lease_has_a_sensible_length(ttl: float):
    with pytest.raises(ValueError, match="ttl"):
        hold(0, "alice", ttl)


def test_the_databases_own_clock_counts_when_none_is_given():
    assert hold(0, "alice", 15)
    assert not hold(0, "bob", 15)
