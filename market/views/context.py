"""What every page knows."""

import tomllib
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest


def exchange_mode(request: HttpRequest) -> dict[str, Any]:
    match = request.resolver_match
    return {
        "exchange_mode": settings.BFX_EXCHANGE,
        "page_name": match.url_name if match else "",
        "version": version(),
    }


@cache
def version() -> str:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())
    return str(project["project"]["version"])
