"""The grid of live tickers, and what its script asks for beside the socket."""

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from market.bitfinex import rest
from market.bitfinex.symbols import is_symbol
from market.conf import exchange
from market.history import history
from market.hub import hub
from market.listing import listing
from market.newest import newest_quotes
from market.views.context import is_signed_in
from market.views.ticker_page import TickerPage, Wish


@require_safe
@never_cache
@gzip_page  # safe here: the page carries no secret
def tickers(request: HttpRequest) -> HttpResponse:
    page = TickerPage(
        newest_quotes(),
        hub().status,
        now_ms=int(timezone.now().timestamp() * 1000),
        wish=Wish.of(request.GET.dict()),
        curl_url=_curl_urls(),
    )
    trade_url = f"{reverse('market:new_order')}?symbol=" if is_signed_in(request) else ""
    return render(request, "market/tickers.html", {"page": page, "trade_url": trade_url})


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    return render(request, "market/about.html")


@require_safe
@vary_on_headers("Accept")
def curl(request: HttpRequest, symbol: str) -> HttpResponse:
    """The public call behind one row: a page, or the bare line for who accepts only plain text."""
    if not is_symbol(symbol):
        raise Http404(f"no such symbol: {symbol}")
    command = rest.curl(rest.ticker(symbol), exchange())
    if not request.accepts("text/html"):
        return HttpResponse(f"{command}\n", content_type="text/plain; charset=utf-8")
    return render(request, "market/curl.html", {"listing": listing(symbol), "command": command})


@require_safe
@never_cache
@gzip_page
def symbols(request: HttpRequest) -> JsonResponse:
    """Names of every symbol, for rows that came up after the page was made."""
    known = [quote.symbol for quote in newest_quotes()]
    return JsonResponse({"symbols": {symbol: names(symbol) for symbol in known}})


@require_safe
@never_cache
@gzip_page
def past_prices(request: HttpRequest) -> JsonResponse:
    """What the trend lines start from (`market.history.History.table`)."""
    return JsonResponse(history().table())


def names(symbol: str) -> dict[str, str | bool]:
    item = listing(symbol)
    return {
        "base": item.base,
        "quote": item.quote,
        "base_code": item.base_code,
        "quote_code": item.quote_code,
        "name": item.name,
        "label": item.label,
        "paper": item.paper,
        "curl_url": reverse("market:curl", args=[symbol]),
    }


def _curl_urls() -> Callable[[str], str]:
    """`reverse` once a page instead of once a row."""
    before, _, after = reverse("market:curl", args=["SYMBOL"]).partition("SYMBOL")
    return lambda symbol: f"{before}{symbol}{after}"
