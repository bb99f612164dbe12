"""How allauth behaves here: sign-up is closed, seeds are sealed, one page asks for a proof."""

import base64
from functools import partial

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from accounts import audit, broadcast, vault
from accounts.audit import Tag
from accounts.key_versions import derived_key

COVERS = vault.joined(b"bfxdash/1", b"mfa")
LOGIN_FAILED = "The username and the password do not belong together."
WITHOUT_WORDS = {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}


class People(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": LOGIN_FAILED,
        "email_password_mismatch": LOGIN_FAILED,
        "too_many_login_attempts": "Too many attempts. Wait a while, or use a passkey.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are made by invitation only, see `accounts.invitations`."""
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Where a link may lead on to: a path of this site, from its root."""
        return bool(url and url.startswith("/") and super().is_safe_url(url))

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: str) -> str:
        """What failed logins are counted by. allauth's own holds the Host header too, of which
        whoever sends it chooses the port: each would open a new count."""
        return credentials.get("username", "").lower()

    def get_reauthentication_methods(
        self, user: AbstractBaseUser | AnonymousUser
    ) -> list[dict[str, str]]:
        url = reverse("accounts:confirm")
        return [{"id": "confirm", "description": "Confirm that it is you", "url": url}]

    def add_message(  # type: ignore[no-untyped-def]
        self, request, level, message_template=None, *args, **kwargs
    ) -> None:
        if message_template not in WITHOUT_WORDS:
            super().add_message(request, level, message_template, *args, **kwargs)

    def send_notification_mail(self, *args: object, **kwargs: object) -> None:
        """`accounts.notices` tells people, on the page and by mail."""


class Sessions(DefaultUserSessionsAdapter):  # type: ignore[misc]
    def end_sessions(self, sessions: list[UserSession]) -> None:
        with transaction.atomic():
            super().end_sessions(sessions)
            for user in {session.user for session in sessions}:
                data = {"sessions": len(sessions)}
                audit.record(Tag.SESSIONS_ENDED, actor=user, about=user, data=data)
        for session in sessions:  # once it is committed: a socket that came back would stay
            tell = partial(broadcast.tell_session_ended, session.session_key)
            transaction.on_commit(tell)


class SecondFactors(DefaultMFAAdapter):  # type: ignore[misc]
    """Seeds of TOTP and recovery codes lie sealed in the database.

    allauth names no user when it asks, so unlike an exchange key a seed is not bound to its row:
    who may write to the database can swap seeds, but could as well replace a password's hash.
    """

    def encrypt(self, text: str) -> str:
        sealed = vault.wrap(derived_key("mfa"), text.encode(), COVERS)
        return base64.b64encode(sealed).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises `SealBroken` for anything that we did not seal."""
        try:
            sealed = base64.b64decode(encrypted_text, validate=True)
        except ValueError:
            sealed = b""
        return vault.unwrap(derived_key("mfa"), sealed, COVERS, "a second factor").decode()

    def get_totp_issuer(self) -> str:
        mode = "" if settings.BFX_EXCHANGE == "live" else " sandbox"
        return f"{settings.MFA_TOTP_ISSUER}{mode}"
