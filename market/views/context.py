"""What every page knows."""

import tomllib
from functools import cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest


def exchange_mode(request: HttpRequest) -> dict[str, Any]:
    match = request.resolver_match
    return {
        "exchange_mode": settings.BFX_EXCHANGE,
        "page_name": match.url_name if match else "",
        "version": version(),
        "is_signed_in": lambda: is_signed_in(request),
    }


def is_signed_in(request: HttpRequest) -> bool:
    """Public pages must work without the database, so there it counts as nobody."""
    try:
        return request.user.is_authenticated
    except (AttributeError, DatabaseError):
        return False


@cache
def version() -> str:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())
    return str(project["project"]["version"])
