"""What is kept about a person: given to him when he asks, erased when he deletes his account.

Erased is what tells who he was: name, address, factors, sessions, notices, the labels of his keys,
and what the trail keeps beside its chain. The row of the account stays without a name, because keys
and events point at it. The secrets of the keys are wiped before.
"""

import json
from typing import Any, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts import audit, keys, people, signals
from accounts.audit import Tag
from accounts.errors import NotAllowed
from accounts.halts import lock_halts
from accounts.keys import Revocation
from accounts.models import ApiKey, AuditEvent, AuditPii, Halt, Notice, User

REASON = "its owner deleted the account"
ERASED = "deleted"
OF_THE_ACCOUNT = ("username", "email", "date_joined", "last_login", "is_staff", "no_arming_until")
OF_A_KEY = (
    "uuid", "label", "exchange", "last4", "added_at", "terms_at", "state", "scopes", "scopes_at",
    "policy_text", "armed_until", "halt", "revoked_at", "revoked_reason",
)  # fmt: skip
OF_A_SESSION = ("ip", "user_agent", "created_at", "last_seen_at")


def personal_data(user: User) -> dict[str, Any]:
    """Everything about this person, ready for Django's JSON encoder; no secret, no seed."""
    found = {
        "account": User.objects.values(*OF_THE_ACCOUNT).get(pk=user.pk),
        "keys": list(ApiKey.objects.of(user).values(*OF_A_KEY)),
        "factors": list(_factors(user).values("type", "created_at", "last_used_at")),
        "sessions": list(UserSession.objects.filter(user=user).values(*OF_A_SESSION)),
        "notices": list(user.notices.values("at", "text", "seen_at")),
        "events": [_event(row) for row in _own_events(user).iterator(audit.CHUNK)],
    }
    for _, part in signals.personal_data.send(sender=User, user=user):
        found |= cast(dict[str, Any], part)
    return found


def delete_account(*, user: User, cancel_orders: bool = False) -> list[Revocation]:
    """Revokes the keys one by one, since the exchange is asked between; then, in one transaction,
    closes the account and erases what tells who he was. Whoever is interrupted deletes once more.

    Raises `NotAllowed` for the only administrator, before anything has happened.
    """
    with transaction.atomic():
        _require_another_administrator(user)
    done = keys.revoke_all(by=user, owner=user, reason=REASON, cancel_orders=cancel_orders)
    with transaction.atomic():
        _require_another_administrator(user)
        _close(user)
        _erase(user, len(done))
    return done


def _require_another_administrator(user: User) -> None:
    if people.locked_staff() == {user.pk}:
        raise NotAllowed("leave this server without an administrator")


def _close(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    people.end_sessions(user=user)
    lock_halts()  # a key that was being added is committed by now, or refused
    audit.record(Tag.ACCOUNT_CLOSED, actor=user, about=user, data={"reason": REASON})


def _erase(user: User, count: int) -> None:
    count += len(keys.revoke_all(by=user, owner=user, reason=REASON))
    ApiKey.objects.of(user).update(label=ERASED, revoked_reason=ERASED)
    Halt.objects.filter(Q(owner=user) | Q(key__owner=user)).delete()
    for model in (Authenticator, EmailAddress, Notice, UserSession):
        model.objects.filter(user=user).delete()
    seen = _events(user).exclude(pii="")
    AuditPii.objects.filter(seq__in=seen.values("seq")).delete()
    signals.account_deleted.send(sender=User, user=user)
    User.objects.filter(pk=user.pk).update(
        username=f"{ERASED} {user.pk}",  # with a space: nobody can take this name
        email="",
        first_name="",
        last_name="",
        password=make_password(None),
        is_staff=False,
        is_superuser=False,
        is_first=False,
        last_login=None,
        no_arming_until=None,
    )
    audit.record(Tag.ACCOUNT_DELETED, actor=user, about=user, data={"keys": count})


def _factors(user: User) -> QuerySet[Any]:
    found: QuerySet[Any] = Authenticator.objects.filter(user=user)
    return found


def _events(user: User) -> QuerySet[AuditEvent]:
    """What he did, and what was done with what is his."""
    return AuditEvent.objects.filter(Q(actor=user.pk) | Q(subject=user.pk))


def _own_events(user: User) -> QuerySet[AuditEvent]:
    """Without what staff did to others: that is about them."""
    return _events(user).filter(Q(subject=user.pk) | Q(subject=None)).order_by("seq")


def _event(row: AuditEvent) -> dict[str, Any]:
    kept = AuditPii.objects.filter(seq=row.seq).first() if row.pii else None
    return {
        "at": row.at,
        "what": row.tag,
        "by": row.actor,
        "key": row.key,
        "outcome": row.outcome,
        "data": json.loads(row.data),
        "seen": json.loads(kept.data) if kept else {},
    }
