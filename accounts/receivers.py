"""What follows when something happened to a key, a session or a factor."""

from typing import Any, cast
from uuid import UUID

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.signals import password_changed, password_reset, user_logged_in
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
    authenticator_used,
)
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.core.cache import cache
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit, broadcast, people, signals
from accounts.audit import Tag
from accounts.models import ApiKey, KeyState, User
from accounts.notices import notify

FAILURES_KEPT = 24 * 60 * 60
FACTOR_NAMES = {
    Authenticator.Type.TOTP: "an authenticator app",
    Authenticator.Type.WEBAUTHN: "a passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}
LOST = {
    KeyState.REJECTED: "is disarmed: the exchange no longer accepts it.",
    KeyState.QUARANTINED: "is locked: what is stored is not what was sealed. Revoke it.",
}


def seen_of(request: HttpRequest) -> dict[str, object]:
    """What tells a person of an event; it is kept where it can be erased."""
    browser = request.headers.get("User-Agent", "")[:200]
    return {"address": get_adapter().get_client_ip(request), "browser": browser}


# --- Keys -----------------------------------------------------------------------------------------
@receiver(signals.key_added)
@receiver(signals.key_changed)
def tell_key_changed(key: UUID, owner: int, **kwargs: Any) -> None:
    broadcast.tell_keys_changed(owner)
    row = ApiKey.objects.select_related("owner").get(pk=key)
    from_backup = row.state == KeyState.QUARANTINED and not audit.seal_was_broken(row)
    if row.state in LOST and not from_backup:  # of a backup `accounts.restore_guard` tells
        notify(row.owner, f"Key {row} {LOST[KeyState(row.state)]}", once=True)


@receiver(signals.key_revoked)
def tell_key_revoked(key: UUID, owner: int, **kwargs: Any) -> None:
    broadcast.tell_keys_changed(owner)
    row = ApiKey.objects.select_related("owner").get(pk=key)
    if row.revoked_by_id != owner:
        who = "an administrator" if row.revoked_by_id else "the server"
        notify(row.owner, f"Key {row} was revoked by {who}: {row.revoked_reason}")


# --- Sessions -------------------------------------------------------------------------------------
@receiver(user_logged_in)
def note_login(request: HttpRequest, user: User, **kwargs: Any) -> None:
    seen = seen_of(request)
    request.session["began"] = int(timezone.now().timestamp())
    with transaction.atomic():
        audit.record(Tag.LOGGED_IN, actor=user, about=user, pii=seen)
    failures = cache.get(_failures(user))
    if failures:
        cache.delete(_failures(user))
        notify(user, f"Signed in after {failures} failed attempts, from {seen['address']}.")
    notify(user, f"New sign-in from {seen['address']} with {seen['browser']}", once=True)


@receiver(user_login_failed)
def note_failed_login(
    credentials: dict[str, Any], request: HttpRequest | None, **kwargs: Any
) -> None:
    """An unknown name leaves an event too, without the name: people type passwords there."""
    user = User.objects.filter(username=str(credentials.get("username", "")).lower()).first()
    if request:
        _note_failure(user, request, "password")


@receiver(authentication_failed)
def note_failed_factor(user: User, request: HttpRequest, **kwargs: Any) -> None:
    _note_failure(user, request, "second factor")


@receiver(user_logged_out)
def note_logout(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if request.session.session_key:
        broadcast.tell_session_ended(request.session.session_key)
    if user:
        with transaction.atomic():
            audit.record(Tag.LOGGED_OUT, actor=user, about=user)


@receiver(password_changed)
def note_password_change(request: HttpRequest, user: User, **kwargs: Any) -> None:
    with transaction.atomic():
        audit.record(Tag.PASSWORD_CHANGED, actor=user, about=user, pii=seen_of(request))
    people.end_other_sessions(request)
    notify(user, "Your password was changed; all other sessions have ended.")


@receiver(password_reset)
def note_password_reset(request: HttpRequest, user: User, **kwargs: Any) -> None:
    with transaction.atomic():
        audit.record(Tag.PASSWORD_RESET, actor=user, about=user, pii=seen_of(request))
        people.pause_arming(user=user, reason="the password was reset")
        people.end_sessions(user=user)


# --- Second factors -------------------------------------------------------------------------------
@receiver(post_save, sender=Authenticator)
def record_new_factor(instance: Authenticator, created: bool, **kwargs: Any) -> None:
    """In the transaction that adds it; allauth's own signal comes after the commit."""
    if created:
        _record_factor(Tag.FACTOR_ADDED, instance)


@receiver(post_delete, sender=Authenticator)
def record_lost_factor(instance: Authenticator, **kwargs: Any) -> None:
    _record_factor(Tag.FACTOR_REMOVED, instance)


@receiver(authenticator_added)
@receiver(authenticator_reset)
def note_new_factor(
    request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any
) -> None:
    _note_factor(request, user, authenticator, "added to")
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:  # its first use was a moment ago
        record_authentication(request, user, "mfa", reauthenticated=True, id=authenticator.pk)


@receiver(authenticator_removed)
def note_lost_factor(
    request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any
) -> None:
    _note_factor(request, user, authenticator, "removed from")


@receiver(authenticator_used)
def note_recovery(
    request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any
) -> None:
    """Who comes in by a recovery code trades tomorrow: perhaps he found it."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        people.pause_arming(user=user, reason="a recovery code was used")


def _record_factor(tag: Tag, authenticator: Authenticator) -> None:
    """By the person, or without a request of his own by the host."""
    request, user = context.request, authenticator.user
    own = request is not None and request.user.pk == user.pk
    with transaction.atomic():
        audit.record(
            tag,
            actor=user if own else None,
            about=user,
            data={"type": authenticator.type},
            pii=seen_of(request) if own else None,
        )


def _note_factor(request: HttpRequest, user: User, authenticator: Authenticator, what: str) -> None:
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        people.end_other_sessions(request)
    name = FACTOR_NAMES[cast(Authenticator.Type, authenticator.type)]
    notify(user, f"{name.capitalize()} was {what} your account.".replace("codes was", "codes were"))


def _note_failure(user: User | None, request: HttpRequest, what: str) -> None:
    with transaction.atomic():
        audit.record(
            Tag.LOGIN_FAILED,
            actor=None,
            about=user,
            outcome="refused",
            data={"by": what},
            pii=seen_of(request),
        )
    if not cache.add(_failures(user), 1, FAILURES_KEPT):
        cache.incr(_failures(user))


def _failures(user: User | None) -> str:
    """Unknown names are counted too, in one place: else they would be answered sooner."""
    return f"failed-logins:{user.pk if user else 'nobody'}"
