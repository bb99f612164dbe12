"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def exchange_mode(request: HttpRequest) -> dict[str, Any]:
    return {"exchange_mode": settings.BFX_EXCHANGE}
