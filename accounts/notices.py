"""Tells a person what happened to his account: on his own page, and by mail where there is mail."""

from datetime import timedelta

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from accounts.models import Notice, User

log = structlog.get_logger(__name__)

KEPT_FOR = timedelta(days=90)
LENGTH = 300


def notify(user: User, text: str, *, once: bool = False) -> None:
    """`once`: not when the same was said within the last 90 days."""
    text, now = text[:LENGTH], timezone.now()
    if once and Notice.objects.filter(user=user, text=text, at__gt=now - KEPT_FOR).exists():
        return
    Notice.objects.create(user=user, at=now, text=text)
    if settings.EMAIL_ON and user.email:
        transaction.on_commit(lambda: _mail(user.email, text))


def take_unseen(user: User) -> list[Notice]:
    """The notices that he has not been shown yet; they count as shown from now on."""
    with transaction.atomic():
        unseen = list(Notice.objects.filter(user=user, seen_at=None))
        Notice.objects.filter(pk__in=[each.pk for each in unseen]).update(seen_at=timezone.now())
    return unseen


def unseen_count(user: User) -> int:
    return Notice.objects.filter(user=user, seen_at=None).count()


def _mail(address: str, text: str) -> None:
    body = f"{text}\n\nIf this was not you, sign in and end the other sessions at once.\n"
    try:
        send_mail("bfxdash: news of your account", body, None, [address])
    except OSError as error:  # SMTPException too
        log.warning("notice not mailed", problem=type(error).__name__)
