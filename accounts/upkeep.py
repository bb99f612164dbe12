"""What every web process does for accounts beside serving pages.

Each item is claimed by one conditional update, so that any number of processes do it once. What
the exchange, the database or the disk cannot do now is said once and tried again; anything else is
a mistake, and stops the server.
"""

import asyncio
import os
import random
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import Error, connection
from django.utils import timezone

from accounts import keys, master_key, restore_guard, rotation
from accounts.errors import AccountsError, KeyRefused
from accounts.models import ApiKey, AuditHead, Epoch, HaltLevel, KeyCare, KeyState, RingReport
from accounts.notices import notify
from accounts.querysets import ApiKeyQuerySet
from accounts.restore_guard import Restored

log = structlog.get_logger(__name__)

EVERY_SECONDS = 15
HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
RETRY = timedelta(minutes=5)  # doubled with each failure, up to a day
DOUBLINGS = 8
CHECKS_A_ROUND = 4  # of one process: the budget of calls is shared with people who wait
DISARM_AFTER = timedelta(days=90)
WIPE_AFTER = timedelta(days=180)
ASKED = {KeyState.USABLE, KeyState.UNVERIFIED}
AWAY = (Error, OSError, AccountsError)

Task = Callable[[], Coroutine[Any, Any, None]]


def tasks() -> list[Task]:
    """Coroutine functions that run until cancelled, for `bfxdash.server.serve`."""
    return [report_for_ever, look_after_keys_for_ever]


def begin() -> Restored | None:
    """Before the first request: is this database older than it was? While it is away nothing can
    be signed, and the first report asks again."""
    try:
        restored = restore_guard.guard()
        restore_guard.advance()
    except AWAY as error:
        log.warning("database not looked at yet", problem=f"{type(error).__name__}: {error}")
        return None
    return restored


async def report_for_ever() -> None:
    process = process_name()
    try:
        await repeat("reports", lambda: report(process))
    finally:
        with suppress(*AWAY):  # we have ended: a restore need not wait for us
            await asyncio.to_thread(forget, process)


async def look_after_keys_for_ever() -> None:
    await repeat("key checks", look_after_keys)


def process_name() -> str:
    return f"{socket.gethostname()[:80]}:{os.getpid()}"


def report(process: str) -> None:
    """That this process lives, and with which master keys; whether the database is older than it
    was; once an hour for all processes, where the audit trail ends."""
    rotation.report_ring(process)
    if not master_key.is_missing():  # a sandbox makes it with the first key
        restore_guard.guard()
    if claim_hour(timezone.now()):
        restore_guard.advance()
        head = AuditHead.objects.filter(pk=1).first() or AuditHead()
        log.info("audit head", seq=head.seq, mac=head.mac)


def forget(process: str) -> None:
    try:
        RingReport.objects.filter(process=process).delete()
    finally:
        connection.close()


def claim_hour(now: datetime) -> bool:
    Epoch.objects.get_or_create(pk=1)
    rows = Epoch.objects.filter(pk=1)
    due = rows.filter(advanced_at=None) | rows.filter(advanced_at__lte=now - HOUR)
    return bool(due.update(advanced_at=now))


def look_after_keys() -> None:
    """Visits the keys whose day has come, a few a round; ends early while the exchange is away."""
    now = timezone.now()
    _begin_care(now)
    due = KeyCare.objects.filter(due_at__lte=now, key__in=_kept()).order_by("due_at")
    for care in due.select_related("key", "key__owner")[:CHECKS_A_ROUND]:
        if _claim(care, now) and not visit(care, now):
            return


def visit(care: KeyCare, now: datetime) -> bool:
    """One key: was it used, is it stale, what does the exchange say. False when it says nothing."""
    row = care.key
    if row.last_nonce != care.seen_nonce:
        care.used_at = now
    if _is_wiped(care, now):
        return True
    asked = row.state not in ASKED or row.halt >= HaltLevel.SIGNING or _ask(row)
    care.failures = 0 if asked else min(care.failures + 1, DOUBLINGS)
    care.due_at = now + (_spread(DAY) if asked else _spread(min(RETRY * 2**care.failures, DAY)))
    care.seen_nonce = ApiKey.objects.values_list("last_nonce", flat=True).get(pk=row.pk)
    care.save()
    return asked


def _kept() -> ApiKeyQuerySet:
    return ApiKey.objects.here().filter(revoked_at=None).exclude(wrapped_dek=None)


def _begin_care(now: datetime) -> None:
    """A new key's first visit is spread over the day; one that waits for an answer comes first."""
    fresh = [
        KeyCare(key=row, due_at=_first_visit(row, now), used_at=now, seen_nonce=row.last_nonce)
        for row in _kept().filter(care=None)
    ]
    KeyCare.objects.bulk_create(fresh, ignore_conflicts=True)
    waiting = KeyCare.objects.filter(key__state=KeyState.UNVERIFIED, failures=0)
    able = waiting.filter(key__in=_kept(), key__halt__lt=HaltLevel.SIGNING)
    able.filter(due_at__gt=now + RETRY).update(due_at=now)  # its owner has just confirmed it


def _first_visit(row: ApiKey, now: datetime) -> datetime:
    waits = row.state == KeyState.UNVERIFIED
    return now if waits else now + DAY * random.random()  # noqa: S311  not a secret


def _claim(care: KeyCare, now: datetime) -> bool:
    """Ours until `RETRY` has passed: a process that dies in the visit leaves it to another."""
    same = KeyCare.objects.filter(pk=care.pk, due_at=care.due_at)
    return bool(same.update(due_at=now + RETRY))


def _is_wiped(care: KeyCare, now: datetime) -> bool:
    unused = now - care.used_at
    if unused >= WIPE_AFTER:
        keys.revoke_key(key=care.key, by=None, reason=f"not used for {WIPE_AFTER.days} days")
        return True
    if unused >= DISARM_AFTER and care.key.is_armed(now):
        reason = f"not used for {DISARM_AFTER.days} days"
        keys.disarm_key(key=care.key, by=None, reason=reason)
        notify(care.key.owner, f"Key {care.key} was disarmed: {reason}.")
    return False


def _ask(before: ApiKey) -> bool:
    """Whether the exchange said something about this key."""
    try:
        after = keys.check_key(key=before)
    except KeyRefused as refused:
        notify(before.owner, f"Key {before} was refused: {refused.reason}. Its secret is wiped.")
        return True
    except AccountsError as error:  # a broken seal; the signer has marked the key
        log.warning("key not checked", key=str(before.uuid), problem=str(error))
        return False
    if after.scopes != before.scopes and before.state == KeyState.USABLE:
        notify(before.owner, f"What key {before} may do at Bitfinex has changed.")
    return after.state != before.state or after.scopes_at != before.scopes_at


def _spread(period: timedelta) -> timedelta:
    """Give or take a tenth, so that keys do not come in crowds."""
    return period * random.randint(90, 110) / 100  # noqa: S311  not a secret


async def repeat(what: str, work: Callable[[], object], seconds: float = EVERY_SECONDS) -> None:
    """Does it in a thread until cancelled, with that pause after each time. What is away is said
    once; any other error ends the task."""
    problem = ""
    while True:
        former, problem = problem, await asyncio.to_thread(_attempt, work)
        if problem and problem != former:
            log.warning("work waits", what=what, problem=problem)
        elif former and not problem:
            log.info("work goes on", what=what)
        await asyncio.sleep(seconds)


def _attempt(work: Callable[[], object]) -> str:
    """Why it has to wait, or an empty text."""
    try:
        work()
    except AWAY as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()  # this thread is not one of a web request
    return ""
