"""What people are told about the feed in each of its situations."""

from dataclasses import replace
from typing import Any

import pytest

from market.feed.fleet import FleetView
from market.feed.status import IN_MAINTENANCE, UNREACHABLE, Judgement, judge

ALL_OPEN = FleetView(
    wanted=15, open=15, was_open=True, out_of_reach=False, limited=False, retry_at=None
)
NONE_YET = replace(ALL_OPEN, open=0, was_open=False)
NO_PLAN = replace(NONE_YET, wanted=0)


def judged(fleet: FleetView, **known: Any) -> Judgement:
    healthy = {"any_live": True, "maintenance": False, "rest_fault": "", "rest_retry_at": 9}
    return judge(fleet, **{**healthy, **known})


def test_open_connections_that_tell_nothing_are_not_live() -> None:
    silent = judged(ALL_OPEN, any_live=False)
    assert silent == Judgement("connecting", "waiting for the first prices", None)


def test_live_is_when_every_connection_is_open() -> None:
    assert judged(ALL_OPEN, rest_fault="whatever") == Judgement("live", "", None)


def test_a_missing_connection_is_told_with_the_next_attempt() -> None:
    status = judged(replace(ALL_OPEN, open=13, retry_at=7))
    assert status == Judgement("connecting", "2 of 15 connections to come", 7)


def test_a_start_says_that_it_connects() -> None:
    assert judged(NO_PLAN) == Judgement("connecting", "connecting to Bitfinex", None)
    assert judged(NONE_YET).state == "connecting"


def test_an_unreachable_exchange_is_said_to_be_so_with_the_next_attempt() -> None:
    status = judged(replace(NONE_YET, out_of_reach=True, retry_at=5))
    assert status == Judgement("offline", UNREACHABLE, 5)


def test_without_a_list_of_pairs_the_rest_fault_is_the_reason() -> None:
    status = judged(NO_PLAN, rest_fault=UNREACHABLE, rest_retry_at=4)
    assert status == Judgement("offline", UNREACHABLE, 4)


def test_the_nearest_attempt_counts() -> None:
    fleet = replace(NONE_YET, out_of_reach=True, retry_at=5)
    assert judged(fleet, rest_fault=UNREACHABLE, rest_retry_at=4).retry_at == 4


def test_all_connections_lost_is_stale_until_an_attempt_fails() -> None:
    status = judged(replace(ALL_OPEN, open=0, retry_at=3))
    assert status == Judgement("stale", "the connection to Bitfinex is lost", 3)


@pytest.mark.parametrize(("was_open", "state"), [(True, "stale"), (False, "connecting")])
def test_a_used_up_budget_is_not_called_unreachable(was_open: bool, state: str) -> None:
    fleet = replace(NONE_YET, was_open=was_open, out_of_reach=True, limited=True, retry_at=70)
    assert judged(fleet).state == state
    assert "limits" in judged(fleet).reason


def test_maintenance_comes_before_everything() -> None:
    assert judged(ALL_OPEN, maintenance=True) == Judgement("stale", IN_MAINTENANCE, None)
    fleet = replace(NONE_YET, out_of_reach=True, retry_at=5)
    assert judged(fleet, maintenance=True) == Judgement("stale", IN_MAINTENANCE, 5)
