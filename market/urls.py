"""Addresses of the market's pages."""

from django.urls import path

from market.views import tickers

app_name = "market"
urlpatterns = [
    path("", tickers.tickers, name="tickers"),
    path("about/", tickers.about, name="about"),
    path("tickers/symbols/", tickers.symbols, name="symbols"),
    path("tickers/history/", tickers.past_prices, name="history"),
    path("tickers/<str:symbol>/curl/", tickers.curl, name="curl"),
]
