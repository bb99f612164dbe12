"""Whose a socket is, and whether it still is: asked at its start and again every fifteen seconds.

Channels' own middleware does not know SECRET_KEY_FALLBACKS and deletes the session of whoever
connects after a change of the key. This one only reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.models import User
from accounts.stepup import has_factor, may_skip_factor

Scope = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a session that is in force."""

    user: int
    session_key: str


def session_key_of(scope: Scope) -> str:
    """The key in the cookie of a handshake; empty without one."""
    headers = [value for name, value in scope.get("headers", []) if name == b"cookie"]
    try:
        cookies = SimpleCookie(b"; ".join(headers).decode("latin1"))
    except CookieError:
        return ""
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found else ""


def holder(session_key: str) -> Holder | None:
    """Who may see private things with this session, a second factor included."""
    found = in_force([session_key]).get(session_key)
    user = User.objects.filter(pk=found).first() if found else None
    if user is None or not (has_factor(user) or may_skip_factor(user)):
        return None
    return Holder(user.pk, session_key)


def in_force(session_keys: Iterable[str]) -> dict[str, int]:
    """Which of these sessions are in force, and whose they are; two queries for all of them."""
    rows = Session.objects.filter(pk__in=list(session_keys), expire_date__gt=timezone.now())
    opened = {row.pk: row.get_decoded() for row in rows}
    ids = {data.get(SESSION_KEY) for data in opened.values()} - {None}
    users = {str(user.pk): user for user in User.objects.filter(pk__in=ids, is_active=True)}
    pairs = {key: users.get(str(data.get(SESSION_KEY))) for key, data in opened.items()}
    return {
        key: user.pk
        for key, user in pairs.items()
        if user and proves(user, opened[key]) and is_young(opened[key])
    }


def proves(user: User, data: dict[str, Any]) -> bool:
    """Whether the session was made with the password and the epoch that hold now."""
    given = data.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(given, known) for known in hashes)


def is_young(data: dict[str, Any]) -> bool:
    """As `accounts.middleware.SessionAge` judges it."""
    now = timezone.now().timestamp()
    return bool(
        now - data.get("began", now) < settings.SESSION_COOKIE_AGE
        and now - data.get("seen", now) < settings.SESSION_IDLE_SECONDS
    )
