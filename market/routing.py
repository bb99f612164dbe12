"""WebSocket addresses."""

from django.urls import path

from market.consumers import TickerConsumer

websocket_urlpatterns = [path("ws/tickers/", TickerConsumer.as_asgi())]
