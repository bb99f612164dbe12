"""The ASGI application: pages over HTTP, live prices over WebSocket."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bfxdash.settings")
pages = get_asgi_application()  # sets Django up: what follows needs it

from accounts.routing import websocket_urlpatterns as of_people  # noqa: E402
from bfxdash.edge import exact_origin, refuse, trusted_proxies  # noqa: E402
from market.routing import websocket_urlpatterns as of_the_market  # noqa: E402

sockets = URLRouter([*of_people, *of_the_market, re_path(r"", refuse)])  # type: ignore[arg-type]
application = trusted_proxies(
    ProtocolTypeRouter({"http": pages, "websocket": exact_origin(sockets, settings.BFX_ORIGINS)}),
    settings.BFX_TRUSTED_PROXIES,
)
