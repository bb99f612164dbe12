"""What is done to accounts. Each act and its audit event are one transaction."""

from datetime import timedelta
from typing import cast

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth import update_session_auth_hash
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit, broadcast
from accounts.audit import Tag
from accounts.errors import NotAllowed
from accounts.key_rows import change
from accounts.models import ApiKey, User
from accounts.notices import notify

PAUSE = timedelta(hours=24)


def deactivate(*, user: User, by: User | None, reason: str) -> None:
    """Ends every session of this person, and lets nobody in under his name until further notice.

    His keys stay as they are: revoke or halt them beside it.
    """
    _set_active(user, by, reason, active=False)


def reactivate(*, user: User, by: User | None, reason: str) -> None:
    _set_active(user, by, reason, active=True)


@transaction.atomic
def reset_factors(*, user: User, by: User | None, reason: str) -> int:
    """For who has lost his second factor: removes all, ends every session, arms nothing for a day.

    Returns how many factors there were. Only the host's command line does this (`by` none).
    """
    count: int = Authenticator.objects.filter(user=user).delete()[0]
    _end_sessions(user)
    pause_arming(user=user, reason="its second factor was reset")
    notify(user, "Your second factor was reset by the operator of this server.")
    data = {"reason": reason, "factors": count}
    audit.record(Tag.FACTORS_RESET, actor=by, about=user, data=data)
    return count


@transaction.atomic
def pause_arming(*, user: User, reason: str) -> None:
    """Disarms every key of this person and arms none for a day: whoever has just taken an account
    over must not trade with it at once."""
    User.objects.filter(pk=user.pk).update(no_arming_until=timezone.now() + PAUSE)
    for key in ApiKey.objects.filter(owner=user, revoked_at=None).exclude(armed_until=None):
        change(key, armed_until=None)
        audit.record(Tag.KEY_DISARMED, actor=None, about=key, data={"reason": reason})
    notify(user, f"No key can be armed for 24 hours: {reason}.")


def end_other_sessions(request: HttpRequest) -> None:
    """All but the one that asks, which goes on under a new key."""
    user = cast(User, request.user)
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(auth_epoch=F("auth_epoch") + 1)
        user.refresh_from_db(fields=["auth_epoch"])
        renew_session(request)
        others = UserSession.objects.filter(user=user)
        keys = others.exclude(session_key=request.session.session_key)
        Session.objects.filter(session_key__in=keys.values("session_key")).delete()
        keys.delete()
        transaction.on_commit(lambda: broadcast.tell_check_sessions(user.pk))


@transaction.atomic
def end_sessions(*, user: User) -> None:
    """Every session of this person, wherever."""
    _end_sessions(user)


def renew_session(request: HttpRequest) -> None:
    """A new key for the same session, so that an older copy of the cookie is worth nothing."""
    before = request.session.session_key
    update_session_auth_hash(request, cast(User, request.user))
    after = request.session.session_key
    UserSession.objects.filter(session_key=before).update(session_key=after)


def _set_active(user: User, by: User | None, reason: str, *, active: bool) -> None:
    if by and (not by.is_staff or by.pk == user.pk):
        raise NotAllowed("change this account")
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=active)
        if not active:
            _end_sessions(user)
        tag = Tag.ACCOUNT_OPENED if active else Tag.ACCOUNT_CLOSED
        audit.record(tag, actor=by, about=user, data={"reason": reason})


def _end_sessions(user: User) -> None:
    User.objects.filter(pk=user.pk).update(auth_epoch=F("auth_epoch") + 1)
    sessions = UserSession.objects.filter(user=user)
    Session.objects.filter(session_key__in=sessions.values("session_key")).delete()
    sessions.delete()
    transaction.on_commit(lambda: broadcast.tell_check_sessions(user.pk))
