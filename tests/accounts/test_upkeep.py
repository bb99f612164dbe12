"""What every web process does for accounts beside serving pages."""

import asyncio
from datetime import timedelta

import pytest
import structlog
from django.db import OperationalError
from django.utils import timezone

from accounts import keys, restore_guard, upkeep
from accounts.errors import ExchangeUnavailable, KeyRejected
from accounts.models import ApiKey, Epoch, HaltLevel, KeyCare, KeyState, Notice, RingReport
from accounts.permissions import Permissions
from accounts.signer import signed

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


@pytest.fixture
def care(key) -> KeyCare:
    """Alice's key, due now."""
    upkeep.look_after_keys()
    return put(key, due_at=timezone.now())


def put(key: ApiKey, **values) -> KeyCare:
    KeyCare.objects.filter(key=key).update(**values)
    return KeyCare.objects.get(key=key)


def unused_for(key: ApiKey, days: int) -> None:
    now = timezone.now()
    put(key, due_at=now, used_at=now - days * DAY, seen_nonce=ApiKey.objects.get().last_nonce)


def test_a_new_key_is_visited_within_a_day(key, exchange):
    exchange.asked.clear()
    upkeep.look_after_keys()
    due = KeyCare.objects.get(key=key).due_at
    assert timezone.now() - DAY < due < timezone.now() + DAY
    assert exchange.asked == []


def test_a_key_that_waits_for_an_answer_is_asked_about_at_once(alice, add_key, exchange):
    exchange.problem = ExchangeUnavailable("maintenance")
    key = add_key(alice)
    exchange.problem = None
    upkeep.look_after_keys()
    assert ApiKey.objects.get(pk=key.pk).state == KeyState.USABLE


def test_a_due_key_is_asked_about_once_a_day(care, exchange):
    exchange.asked.clear()
    upkeep.look_after_keys()
    upkeep.look_after_keys()
    assert len(exchange.asked) == 1
    due_in = KeyCare.objects.get().due_at - timezone.now()
    assert timedelta(hours=21) < due_in < timedelta(hours=27)


def test_one_process_alone_has_the_claim(care):
    now = timezone.now()
    assert [upkeep._claim(care, now), upkeep._claim(care, now)] == [True, False]


def test_an_exchange_that_is_away_is_left_alone_for_longer_and_longer(care, exchange):
    exchange.problem = ExchangeUnavailable("maintenance")
    waits = []
    for _ in range(10):
        put(care.key, due_at=timezone.now())
        upkeep.look_after_keys()
        waits.append(KeyCare.objects.get().due_at - timezone.now())
    assert timedelta(minutes=8) < waits[0] < timedelta(minutes=12)
    assert waits[1] > waits[0] * 1.5
    assert waits[-1] < DAY * 1.2


def test_one_failure_ends_the_round(alice, add_key, exchange):
    for _ in range(3):
        add_key(alice)
    upkeep.look_after_keys()
    KeyCare.objects.update(due_at=timezone.now())
    exchange.asked.clear()
    exchange.problem = ExchangeUnavailable("maintenance")
    upkeep.look_after_keys()
    assert len(exchange.asked) == 1


def test_a_key_deleted_at_the_exchange_is_marked_and_its_owner_told(care, exchange):
    exchange.problem = KeyRejected(10100, "apikey: invalid")
    upkeep.look_after_keys()
    assert ApiKey.objects.get().state == KeyState.REJECTED
    assert Notice.objects.count() == 1


def test_a_scope_that_grew_is_told(care, exchange):
    exchange.rows = [*exchange.rows[:-1], ("withdraw", 0, 1)]
    upkeep.look_after_keys()
    assert "has changed" in Notice.objects.get().text


def test_our_own_question_is_no_use_of_the_key(care, exchange):
    exchange.permissions = ask_signed
    long_ago = timezone.now() - 30 * DAY
    put(care.key, used_at=long_ago, seen_nonce=ApiKey.objects.get().last_nonce)
    for _ in range(2):
        upkeep.look_after_keys()
        put(care.key, due_at=timezone.now())
    assert KeyCare.objects.get().used_at == long_ago
    signed(care.key, "/v2/auth/r/wallets", b"{}")
    upkeep.look_after_keys()
    assert KeyCare.objects.get().used_at > long_ago


def ask_signed(key: ApiKey) -> Permissions:
    signed(key, "/v2/auth/r/permissions", b"{}")
    return ApiKey.objects.get().permissions


def test_unused_for_ninety_days_it_is_disarmed_and_its_owner_told(care, alice):
    keys.arm_key(key=care.key, by=alice, until=timezone.now() + 365 * DAY)
    unused_for(care.key, 89)
    upkeep.look_after_keys()
    assert ApiKey.objects.get().is_armed(timezone.now())
    unused_for(care.key, 91)
    upkeep.look_after_keys()
    assert not ApiKey.objects.get().is_armed(timezone.now())
    assert "not used for 90 days" in Notice.objects.get().text


@pytest.mark.parametrize("state", [KeyState.USABLE, KeyState.QUARANTINED])
def test_unused_for_half_a_year_its_secret_is_wiped(care, state):
    ApiKey.objects.update(state=state)
    unused_for(care.key, 181)
    upkeep.look_after_keys()
    row = ApiKey.objects.with_seal().get()
    assert (row.is_revoked, row.sealed_secret) == (True, None)
    assert row.revoked_reason == "not used for 180 days"


def test_nothing_is_asked_while_all_signing_is_halted(care, exchange):
    keys.halt_keys(by=None, level=HaltLevel.SIGNING, reason="drill")
    exchange.asked.clear()
    upkeep.look_after_keys()
    assert exchange.asked == []
    assert KeyCare.objects.get().failures == 0


def test_a_confirmed_key_is_asked_about_soon_when_the_exchange_was_away(care, alice, exchange):
    put(care.key, due_at=timezone.now() + DAY)
    ApiKey.objects.update(state=KeyState.QUARANTINED)
    exchange.problem = ExchangeUnavailable("maintenance")
    assert keys.confirm_key(key=care.key, by=alice).state == KeyState.UNVERIFIED
    exchange.problem = None
    upkeep.look_after_keys()
    assert ApiKey.objects.get().state == KeyState.USABLE


def test_a_process_reports_its_master_keys_and_takes_the_report_back():
    upkeep.report("here:1")
    assert RingReport.objects.get().versions == [1]
    upkeep.forget("here:1")
    assert not RingReport.objects.exists()


def test_the_end_of_the_audit_trail_is_logged_once_an_hour(key):
    with structlog.testing.capture_logs() as logs:
        upkeep.report("here:1")
        upkeep.report("here:2")
        Epoch.objects.update(advanced_at=timezone.now() - upkeep.HOUR)
        upkeep.report("here:1")
    heads = [entry for entry in logs if entry["event"] == "audit head"]
    assert len(heads) == 2
    assert heads[0]["seq"] == 2  # added, verified


async def test_what_is_away_is_said_once_and_tried_again():
    answers = iter([OperationalError("gone")] * 3 + [None, RuntimeError("a mistake")])

    def work() -> None:
        answer = next(answers)
        if answer:
            raise answer

    with structlog.testing.capture_logs() as logs, pytest.raises(RuntimeError, match="a mistake"):
        await asyncio.wait_for(upkeep.repeat("work", work, 0), 5)
    assert [entry["event"] for entry in logs] == ["work waits", "work goes on"]


def test_a_start_without_a_database_goes_on(monkeypatch):
    def away() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(restore_guard, "guard", away)
    assert upkeep.begin() is None
