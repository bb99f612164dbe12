"""The grant, on injected clocks. Races are in tests/faults/test_revocation.py."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import keys, nonces
from accounts.errors import (
    KeyBusy,
    KeyChanged,
    KeyHalted,
    KeyNotArmed,
    KeyNotReady,
    KeyRevoked,
    NonceExhausted,
)
from accounts.models import ACTS, ApiKey, AuditEvent, HaltLevel, KeyState
from accounts.nonces import CEILING, DAY, SECOND, grant
from accounts.policy import KeyPolicy
from accounts.signing import MAX_NONCE

NOW = 1_795_348_800 * SECOND + 123_456
HOUR, YEAR = 3600 * SECOND, 365 * DAY
GAP = 50_000


def row(key: ApiKey) -> ApiKey:
    return ApiKey.objects.get(pk=key.pk)


def write(key: ApiKey, **columns: object) -> None:
    ApiKey.objects.filter(pk=key.pk).update(**columns)


# --- Nonce and send time --------------------------------------------------------------------------
def test_the_nonce_is_the_time_in_microseconds(key):
    given_now = grant(key, "read", now=NOW)
    assert (given_now.nonce, given_now.wait_us) == (NOW, 0)


def test_the_next_request_leaves_one_gap_later(key):
    first, second = (grant(key, "read", now=NOW) for _ in range(2))
    assert second.wait_us == GAP
    assert second.nonce == first.nonce + GAP
    assert grant(key, "read", now=NOW + SECOND).wait_us == 0


def test_whoever_stands_further_back_in_the_queue_asks_again(key):
    waits = [grant(key, "read", now=NOW).wait_us for _ in range(4)]
    assert waits == [0, GAP, 2 * GAP, 3 * GAP]
    with pytest.raises(KeyBusy) as caught:
        grant(key, "read", now=NOW)
    assert caught.value.wait_us == GAP
    assert grant(key, "read", now=NOW + caught.value.wait_us).wait_us == 3 * GAP


def test_a_refused_grant_takes_nothing(key):
    for _ in range(4):
        grant(key, "read", now=NOW)
    before = row(key).last_nonce
    with pytest.raises(KeyBusy):
        grant(key, "read", now=NOW)
    assert row(key).last_nonce == before


def test_without_a_given_clock_the_real_one_counts(key):
    first = grant(key, "read")
    assert 1_700_000_000 * SECOND < first.nonce < MAX_NONCE
    assert grant(key, "read").nonce > first.nonce


def test_the_real_clock_says_when_the_queue_moves_on(key):
    write(key, gap=2 * SECOND)  # with the usual one the queue moves on while a slow machine asks
    grant(key, "read")
    with pytest.raises(KeyBusy) as caught:
        grant(key, "read")
    assert 0 < caught.value.wait_us <= 2 * SECOND - nonces.AHEAD_US


jumps = st.one_of(st.integers(-GAP, GAP), st.integers(-3 * HOUR, 3 * HOUR))


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(jumps, min_size=2, max_size=8))
def test_nonces_rise_whatever_the_clock_does(key, steps):
    """Never twice, never smaller, and not past the highest clock seen but for the queue."""
    write(key, last_nonce=0, send_at=0, gap=GAP)
    now, last, highest = NOW, 0, NOW
    for step in steps:
        now, highest = now + step, max(highest, now + step)
        with suppress(KeyBusy):
            given_now = grant(key, "read", now=now)
            assert given_now.nonce > last
            assert given_now.nonce <= highest + nonces.AHEAD_US
            assert given_now.wait_us <= nonces.AHEAD_US
            last = given_now.nonce


def test_a_clock_set_back_an_hour_costs_no_waiting(key):
    ahead = grant(key, "read", now=NOW + HOUR)
    back = grant(key, "read", now=NOW)
    assert back.wait_us == 0
    assert back.nonce == ahead.nonce + 1


def test_a_database_from_yesterday_is_above_every_nonce_used(key):
    used = grant(key, "read", now=NOW)
    write(key, last_nonce=NOW - DAY, send_at=NOW - DAY)
    assert grant(key, "read", now=NOW + SECOND).nonce > used.nonce


def test_the_gap_narrows_again_in_small_steps(key):
    write(key, gap=200_000)
    grant(key, "read", now=NOW)
    assert row(key).gap == 200_000 - 200_000 // 64
    for turn in range(1, 200):
        grant(key, "read", now=NOW + turn * SECOND)
    assert row(key).gap == GAP


# --- Refusals -------------------------------------------------------------------------------------
def refusal(key: ApiKey, act, now: int = NOW):
    with pytest.raises(Exception) as caught:  # noqa: PT011  the type is what is asked for
        grant(key, act, now=now)
    return caught.value


@pytest.mark.parametrize("act", ACTS)
def test_g05_a_revoked_key_gets_no_grant(armed, alice, act):
    keys.revoke_key(key=armed, by=alice, reason="test")
    assert isinstance(refusal(armed, act), KeyRevoked)


HALTS = {
    (HaltLevel.NONE, "read"): True,
    (HaltLevel.NONE, "cancel"): True,
    (HaltLevel.NONE, "place"): True,
    (HaltLevel.ORDERS, "read"): True,
    (HaltLevel.ORDERS, "cancel"): True,
    (HaltLevel.ORDERS, "place"): False,
    (HaltLevel.SIGNING, "read"): False,
    (HaltLevel.SIGNING, "cancel"): False,
    (HaltLevel.SIGNING, "place"): False,
    (HaltLevel.ORDERS, "burn"): True,
    (HaltLevel.SIGNING, "burn"): False,
}


@pytest.mark.parametrize(("level", "act"), HALTS)
def test_g07_a_halt_of_orders_lets_cancels_through(armed, level, act):
    keys.halt_keys(by=None, level=level, reason="test")
    write(armed, armed_until="2030-01-01T00:00:00Z")
    if HALTS[level, act]:
        assert grant(armed, act, now=NOW).nonce
    else:
        error = refusal(armed, act)
        assert isinstance(error, KeyHalted)
        assert error.level == level


def test_placing_needs_an_armed_key(key):
    assert isinstance(refusal(key, "place"), KeyNotArmed)
    assert grant(key, "cancel", now=NOW).nonce


@pytest.mark.parametrize(("until", "armed"), [("12:00:01", True), ("11:59:59", False)])
def test_a_key_is_armed_until_its_time_and_not_longer(key, until, armed):
    write(key, armed_until=f"2026-11-22T{until}Z")
    if armed:
        assert grant(key, "place", now=NOW).nonce
    else:
        assert isinstance(refusal(key, "place"), KeyNotArmed)


def test_an_order_under_an_older_policy_is_refused(armed, alice):
    newer = keys.set_policy(key=armed, by=alice, policy=KeyPolicy(orders_a_minute=1))
    assert isinstance(refusal(armed, "place"), KeyChanged)
    assert grant(armed, "cancel", now=NOW).nonce
    write(newer, armed_until="2030-01-01T00:00:00Z")
    assert grant(newer, "place", now=NOW + SECOND).nonce


@pytest.mark.parametrize("state", KeyState)
def test_only_reading_confirms_a_new_key(key, state):
    write(key, state=state, armed_until="2030-01-01T00:00:00Z")
    granted = {act for act in ACTS if not isinstance(outcome(key, act), Exception)}
    expected = {KeyState.USABLE: set(ACTS), KeyState.UNVERIFIED: {"read"}}
    assert granted == expected.get(state, set())


def outcome(key: ApiKey, act) -> object:
    try:
        return grant(key, act, now=NOW)
    except KeyNotReady as error:
        return error


def test_a_key_of_the_other_exchange_gets_no_grant(key, settings):
    settings.BFX_EXCHANGE = "live"
    error = refusal(key, "read")
    assert isinstance(error, KeyNotReady)
    assert "sandbox" in str(error)


def test_a_key_that_does_not_exist_gets_no_grant(key):
    key.uuid = uuid4()
    assert isinstance(refusal(key, "read"), ApiKey.DoesNotExist)


def test_a_cause_that_has_gone_meanwhile_is_answered_with_ask_again(key):
    """Between the update and the read that names the cause, the cause may go."""
    error = nonces._refusal(key, "read", NOW)
    assert isinstance(error, KeyBusy)
    assert error.wait_us == nonces.SHORTEST_WAIT_US


@pytest.mark.django_db(transaction=True)
def test_a_grant_inside_a_transaction_is_an_error(key):
    """It would not be committed before the request leaves."""
    with transaction.atomic(), pytest.raises(RuntimeError, match="part of a transaction"):
        grant(key, "read", now=NOW)


# --- Refused nonces -------------------------------------------------------------------------------
def test_a_refused_nonce_widens_the_gap(key):
    gaps = []
    for _ in range(4):
        nonces.refused(key.pk, grant(key, "read", now=NOW).nonce)
        gaps.append(row(key).gap)
        write(key, send_at=0)
    assert gaps == sorted(gaps)
    assert gaps[-1] <= nonces.WIDEST_GAP_US


def test_the_first_refusal_raises_nothing(key):
    """Two requests that overtook one another: a new nonce is enough."""
    first = grant(key, "read", now=NOW)
    assert nonces.refused(key.pk, first.nonce) == 1
    assert row(key).last_nonce == first.nonce
    assert grant(key, "read", now=NOW + SECOND).nonce == NOW + SECOND


def test_refusals_of_one_salvo_count_once(key):
    salvo = [grant(key, "read", now=NOW).nonce for _ in range(4)]
    assert [nonces.refused(key.pk, nonce) for nonce in salvo] == [1, 1, 1, 1]


def test_an_accepted_nonce_ends_the_row_of_refusals(key):
    nonces.refused(key.pk, grant(key, "read", now=NOW).nonce)
    nonces.accepted(key.pk)
    assert row(key).bump == 0


FOREIGN = {  # how far ahead the other client is → refusals until we are above it
    1 * SECOND: 2,
    1 * HOUR: 3,
    30 * DAY: 4,
    2 * YEAR: 5,
    50 * YEAR: 6,
    150 * YEAR: 7,
    200 * YEAR: 9,
}


@pytest.mark.parametrize("ahead", FOREIGN)
def test_a_foreign_client_ahead_of_us_is_overtaken_in_steps(key, ahead):
    floor, refusals, now = NOW + ahead, 0, NOW
    while (given_now := grant(key, "read", now=now)).nonce <= floor:
        refusals, now = nonces.refused(key.pk, given_now.nonce), now + SECOND
    print(f"{ahead / YEAR:.4f} years ahead: {refusals} refusals")
    assert refusals == FOREIGN[ahead]
    assert given_now.bump == refusals
    assert CEILING >= given_now.nonce > floor


def test_a_shared_key_is_said_so(key):
    for turn in range(3):
        nonces.refused(key.pk, grant(key, "read", now=NOW + turn * SECOND).nonce)
    assert row(key).is_shared
    event = AuditEvent.objects.filter(tag="key.nonce_raised").get()
    assert (event.outcome, event.key) == ("failed", key.pk)


def test_a_key_whose_nonces_are_used_up_is_given_up(key):
    """Another client used the largest nonce there is."""
    now, error = NOW, None
    for _ in range(20):
        try:
            given_now = grant(key, "read", now=now)
        except NonceExhausted as caught:
            error = caught
            break
        assert given_now.nonce <= CEILING
        nonces.refused(key.pk, given_now.nonce)
        now += SECOND
    assert error is not None
    assert row(key).bump == nonces.REFUSALS


def test_no_nonce_comes_near_the_largest(key):
    write(key, last_nonce=CEILING)
    assert isinstance(refusal(key, "read"), NonceExhausted)
    assert nonces.raised(CEILING, 5) == CEILING
    assert nonces.raised(CEILING, 9) == CEILING
    assert nonces.raised(CEILING - 10, 9) == CEILING - 5


@given(last=st.integers(0, MAX_NONCE), refusals=st.integers(0, 12))
def test_a_raised_floor_never_falls(last, refusals):
    assert last <= nonces.raised(last, refusals) <= max(last, CEILING)


def test_a_key_is_ready_as_long_as_a_grant_would_come(key):
    write(key, armed_until=datetime.fromtimestamp(NOW // SECOND, UTC) + timedelta(hours=1))
    row = nonces.ready(key, "place", now=NOW)
    assert (row.pk, row.last_nonce) == (key.pk, ApiKey.objects.get(pk=key.pk).last_nonce)
    assert nonces.ready(key, "read").pk == key.pk


@pytest.mark.parametrize("act", ACTS)
def test_a_key_is_ready_only_for_what_it_may(key, act):
    ApiKey.objects.filter(pk=key.pk).update(armed_until=None, halt=HaltLevel.ORDERS)
    if act == "place":
        with pytest.raises(KeyHalted):
            nonces.ready(key, act, now=NOW)
        ApiKey.objects.filter(pk=key.pk).update(halt=HaltLevel.NONE)
        with pytest.raises(KeyNotArmed):
            nonces.ready(key, act, now=NOW)
    else:
        assert nonces.ready(key, act, now=NOW).pk == key.pk


# --- Burning --------------------------------------------------------------------------------------
def test_burning_takes_the_largest_nonce_and_leaves_none(armed):
    assert grant(armed, "burn", now=NOW).nonce == MAX_NONCE
    for act in ACTS:
        assert isinstance(refusal(armed, act, NOW + SECOND), NonceExhausted)
    assert row(armed).last_nonce == MAX_NONCE


def test_a_key_that_others_use_up_can_still_be_burnt(armed):
    write(armed, bump=nonces.REFUSALS, last_nonce=CEILING)
    assert isinstance(refusal(armed, "read"), NonceExhausted)
    assert grant(armed, "burn", now=NOW).nonce == MAX_NONCE


def test_a_burning_that_the_exchange_refused_is_not_tried_again(armed):
    nonces.refused(armed.pk, grant(armed, "burn", now=NOW).nonce)
    assert row(armed).last_nonce == MAX_NONCE
    assert isinstance(refusal(armed, "burn", NOW + SECOND), NonceExhausted)


def test_burning_keeps_the_pace_of_the_key(armed):
    for _ in range(10):
        try:
            grant(armed, "read", now=NOW)
        except KeyBusy:
            break
    assert isinstance(refusal(armed, "burn"), KeyBusy)
    assert row(armed).last_nonce < MAX_NONCE
