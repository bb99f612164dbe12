"""The page for when another page broke."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseServerError
from django.template.loader import render_to_string


def server_error(request: HttpRequest) -> HttpResponseServerError:
    """Django's own leaves out the mode. No context processor is asked: one may have failed."""
    facts = {"exchange_mode": settings.BFX_EXCHANGE, "static_url": settings.STATIC_URL}
    return HttpResponseServerError(render_to_string("500.html", facts))
