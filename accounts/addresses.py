"""A person's e-mail address: a new one counts once somebody who reads it has said so.

The link in the mail is signed, holds for a day and only while the former address is still there,
and works in a session of that person alone.
"""

from datetime import timedelta

import structlog
from django.core import signing
from django.core.mail import send_mail
from django.db import transaction

from accounts import audit
from accounts.audit import Tag
from accounts.models import User
from accounts.notices import notify

log = structlog.get_logger(__name__)

LIFE = timedelta(hours=24)
SALT = "bfxdash.email"


def ask(*, user: User, address: str, link: str) -> bool:
    """Mails `link`, whose `{token}` it fills, to the new address. False when no mail left."""
    page = link.format(token=token(user, address))
    body = (
        f"Somebody, probably you, gives this address to the account {user.username}. If it is "
        f"yours, open this page where you are signed in:\n\n{page}\n\n"
        "It works for 24 hours. If it is not, do nothing.\n"
    )
    try:
        send_mail("bfxdash: is this your address?", body, None, [address])
    except OSError as error:  # SMTPException too
        log.warning("address not asked", problem=type(error).__name__)
        return False
    return True


def token(user: User, address: str) -> str:
    return signing.dumps([user.pk, user.email, address], salt=SALT)


def find(user: User, text: str) -> str:
    """The address that this token gives to this person; empty for a token that is none."""
    try:
        owner, former, address = signing.loads(text, salt=SALT, max_age=LIFE)
    except signing.BadSignature:
        return ""
    return str(address) if (owner, former) == (user.pk, user.email) else ""


@transaction.atomic
def change(*, user: User, address: str, pii: dict[str, object]) -> None:
    """Replaces it, or with an empty one removes it. The former address hears of it."""
    kept = User.objects.filter(pk=user.pk, email=user.email)
    if not kept.update(email=address):
        return
    notify(
        user, "The e-mail address of your account was " + ("changed." if address else "removed.")
    )
    seen = {**pii, "before": user.email, "after": address}
    audit.record(Tag.EMAIL_CHANGED, actor=user, about=user, pii=seen)
