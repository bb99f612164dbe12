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


def make_staff(*, user: User, by: User, reason: str) -> None:
    """Lets this person into the panel. Staff do this, and the page asks for a fresh proof."""
    _set_staff(user, by, reason, staff=True)


def end_staff(*, user: User, by: User, reason: str) -> None:
    """Staff are no longer staff by what others of them do, never by themselves: one remains."""
    _set_staff(user, by, reason, staff=False)


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
        count, _ = keys.delete()
        transaction.on_commit(lambda: broadcast.tell_check_sessions(user.pk))
        audit.record(Tag.SESSIONS_ENDED, actor=user, about=user, data={"sessions": count})


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


def _set_staff(user: User, by: User, reason: str, *, staff: bool) -> None:
    """All of staff are locked: two who end each other's standing at once would leave nobody."""
    tag = Tag.STAFF_MADE if staff else Tag.STAFF_ENDED
    with transaction.atomic():
        if by.pk == user.pk or by.pk not in locked_staff():
            raise NotAllowed("change who is staff")
        User.objects.filter(pk=user.pk).update(is_staff=staff)
        what = "now belongs" if staff else "no longer belongs"
        notify(user, f"Your account {what} to an administrator of this server.")
        audit.record(tag, actor=by, about=user, data={"reason": reason})


def locked_staff() -> set[int]:
    """Those who are staff, and stay it until the transaction ends."""
    rows = (
        User.objects.select_for_update(no_key=True)
        .filter(is_staff=True, is_active=True)
        .order_by("pk")
    )
    return set(rows.values_list("pk", flat=True))


def _end_sessions(user: User) -> None:
    User.objects.filter(pk=user.pk).update(auth_epoch=F("auth_epoch") + 1)
    sessions = UserSession.objects.filter(user=user)
    Session.objects.filter(session_key__in=sessions.values("session_key")).delete()
    sessions.delete()
    transaction.on_commit(lambda: broadcast.tell_check_sessions(user.pk))
