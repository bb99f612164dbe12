"""Links that make one account each: the first one by the set-up link, all others by invitation.

The token is signed with its time, works for a day and once; the database keeps only its hash.
"""

import hashlib
import secrets
from datetime import timedelta

from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.audit import Tag
from accounts.errors import NotAllowed
from accounts.models import Invitation, User

LIFE = timedelta(hours=24)


def make_setup_token() -> str | None:
    """For the first account: none once an account exists. Older set-up links stop working."""
    with transaction.atomic():
        if User.objects.exists():
            return None
        Invitation.objects.filter(is_setup=True, used_at=None).delete()
        return _make(None, is_setup=True)


def setup_link(origin: str) -> str:
    """The set-up link at this origin, or nothing once an account exists."""
    token = make_setup_token()
    path = reverse("accounts:invitation", args=[token]) if token else ""
    return f"{origin.rstrip('/')}{path}" if token else ""


@transaction.atomic
def invite(*, by: User) -> str:
    """Staff invite whom they like; the new account is an ordinary one."""
    if not by.is_staff:
        raise NotAllowed("invite")
    token = _make(by, is_setup=False)
    audit.record(Tag.INVITED, actor=by)
    return token


def find(token: str) -> Invitation | None:
    """The invitation while it can be used."""
    try:
        _signer().unsign(token, max_age=LIFE)
    except BadSignature:  # expired too
        return None
    found = Invitation.objects.filter(pk=_hash(token), used_at=None).first()
    return None if found and found.is_setup and User.objects.exists() else found


def accept(
    *, token: str, username: str, password: str, email: str = "", pii: dict[str, object]
) -> User | None:
    """Makes the account, or nothing when somebody else was quicker with this link."""
    invitation = find(token)
    if invitation is None:
        return None
    with transaction.atomic():
        unused = Invitation.objects.filter(pk=invitation.pk, used_at=None)
        if not unused.update(used_at=timezone.now()):
            return None
        first = invitation.is_setup
        extra = {"is_staff": first, "is_superuser": first, "is_first": first}
        user = User.objects.create_user(username, email, password, **extra)
        Invitation.objects.filter(pk=invitation.pk).update(used_by=user)
        data = {"first": first, "invited_by": invitation.made_by_id}
        audit.record(Tag.ACCOUNT_MADE, actor=user, about=user, data=data, pii=pii)
    return user


def _make(by: User | None, *, is_setup: bool) -> str:
    token = _signer().sign(secrets.token_urlsafe(24))
    Invitation.objects.create(
        token_hash=_hash(token), is_setup=is_setup, made_by=by, made_at=timezone.now()
    )
    return token


def _signer() -> TimestampSigner:
    return TimestampSigner(salt="bfxdash.invitation")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
