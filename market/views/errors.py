"""The page for when another page broke."""

import sys

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

BROKEN = 500
DATABASE_AWAY = 503
DISK_FULL = 507
FULL = ("disk is full", "No space left on device")  # words of SQLite and of PostgreSQL
RETRY_SECONDS = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's own leaves out the mode, and calls a database that is away an error of ours. No
    context processor is asked: one may have failed."""
    status = status_of(sys.exc_info()[1])
    facts = {
        "exchange_mode": settings.BFX_EXCHANGE,
        "static_url": settings.STATIC_URL,
        "status": status,
    }
    answer = HttpResponse(render_to_string("500.html", facts), status=status)
    if status == DATABASE_AWAY:
        answer["Retry-After"] = str(RETRY_SECONDS)
    return answer


def status_of(error: BaseException | None) -> int:
    """500, or what the database could not do: 503 for now, 507 until somebody makes room."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return BROKEN
    return DISK_FULL if any(words in str(error) for words in FULL) else DATABASE_AWAY
