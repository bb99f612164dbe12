"""Notices that the database is older than it was: restored from a backup, or rolled back.

The epoch in the database rises at every start, every hour and after every backup; the file beside
the master key follows after the commit. So a database whose epoch is below the file's, or in which
a key lives that was revoked here, has lost something. Then the revoked keys are wiped again, every
other key waits until its owner confirms it, every session ends, and unused invitations are void.
Nonces need nothing: they follow the clock, which is past them.
"""

from dataclasses import dataclass

import structlog
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit, keys, revoked_log
from accounts.audit import Tag
from accounts.models import ApiKey, Epoch, Invitation, KeyState, User
from accounts.notices import notify
from accounts.querysets import ApiKeyQuerySet

log = structlog.get_logger(__name__)

JUMP = 1_000_000  # past whatever another machine may have seen
REASON = "it was revoked before the database was restored"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restored database led to: keys wiped again, keys that wait for their owner."""

    wiped: int
    waiting: int


def guard() -> Restored | None:
    """Looks, and does what a restored database needs. Any process may call it at any time.

    Raises `MasterKeyError`, `OSError` or a database's error; nothing is then changed.
    """
    seen = revoked_log.epoch()
    with transaction.atomic():
        row = _locked_epoch()
        lost = _living_revoked()
        if row.number >= seen and not lost:
            number, done = row.number, None
        else:
            number, done = max(row.number, seen) + JUMP, _secure(lost, row.number, seen)
            now = timezone.now()
            Epoch.objects.filter(pk=1).update(number=number, restored_at=now)
    _follow(number)
    if done:
        log.error("database restored from a backup", wiped=done.wiped, waiting=done.waiting)
    return done


def advance() -> int:
    """The next epoch, in the database and then in the file. Returns it."""
    with transaction.atomic():
        number = _locked_epoch().number + 1
        Epoch.objects.filter(pk=1).update(number=number, advanced_at=timezone.now())
    _follow(number)
    return number


@transaction.atomic
def note_backup(target: str) -> None:
    """After a backup: the epoch rises past the one in the copy, so that its return is noticed."""
    audit.record(Tag.BACKED_UP, actor=None, data={"target": target})
    number = _locked_epoch().number + 1
    Epoch.objects.filter(pk=1).update(number=number, advanced_at=timezone.now())
    transaction.on_commit(lambda: _follow(number))


def _follow(number: int) -> None:
    """The files of this machine, after the database: also what other machines have revoked."""
    revoked_log.raise_epoch(number)
    known = ApiKey.objects.exclude(revoked_at=None).exclude(fingerprint=None)
    prints = known.values_list("fingerprint", flat=True)
    revoked_log.note_revoked(each for each in prints if each)


def _locked_epoch() -> Epoch:
    rows = Epoch.objects.select_for_update().filter(pk=1)
    row = rows.first()
    if row is None:
        Epoch.objects.get_or_create(pk=1)
        row = rows.get()
    return row


def _living() -> ApiKeyQuerySet:
    return ApiKey.objects.filter(revoked_at=None)


def _living_revoked() -> list[ApiKey]:
    known = revoked_log.revoked()
    return [row for row in _living().exclude(fingerprint=None) if row.fingerprint in known]


def _secure(lost: list[ApiKey], number: int, seen: int) -> Restored:
    for row in lost:
        keys.revoke_key(key=row, by=None, reason=REASON)
    waiting = _living().filter(state__in=[KeyState.USABLE, KeyState.UNVERIFIED])
    rows = list(waiting.select_related("owner"))
    waiting.update(state=KeyState.QUARANTINED, armed_until=None)
    for row in rows:
        notify(row.owner, f"Key {row} waits: the database was restored. Confirm or revoke it.")
    Session.objects.all().delete()
    UserSession.objects.all().delete()
    User.objects.update(auth_epoch=F("auth_epoch") + 1)
    Invitation.objects.filter(used_at=None).delete()
    data = {"epoch": number, "seen": seen, "wiped": len(lost), "waiting": len(rows)}
    audit.record(Tag.RESTORED, actor=None, data=data)
    return Restored(len(lost), len(rows))
