"""Prices for whoever has to say what an order is worth and has no live ones.

A web process has them in its hub and passes them on. A script reads what the feed saved last; and
where no feed runs, it asks the exchange for all tickers, twice a minute at most.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from market import exchange_info
from market.bitfinex import rest
from market.bitfinex.errors import OutcomeUnknown, Rejected
from market.bitfinex.messages import AnyTicker, Ticker
from market.client import client
from market.conf import exchange
from market.models import SavedQuotes
from market.quotes import Source, decode
from market.rates import Price, Prices, symbols_for

SAVED_FOR = timedelta(minutes=2)  # the feed saves every 30 s
ASKED_FOR = timedelta(seconds=30)
ASKED = "tickers"
PATIENCE = 5.0  # seconds to wait for a slot
Rows = dict[str, list[str]]


def known_prices(symbol: str) -> Prices:
    """Prices that tell what an order of this pair is worth, none older than two minutes unless its
    channel was alive then.

    Raises one of `market.bitfinex.errors` when the exchange has to be asked and does not answer.
    """
    needed = symbols_for(symbol)
    saved = _saved(needed)
    return saved if symbol in saved else _asked(symbol, needed)


def _saved(symbols: Iterable[str]) -> Prices:
    """Without the rows that the feed itself does not vouch for."""
    now = timezone.now()
    tables = SavedQuotes.objects.filter(exchange=exchange().mode)
    rows: dict[str, str] = {}
    for table in tables.filter(saved_at__gt=now - SAVED_FOR, saved_at__lte=now):
        rows.update(table.rows)
    quotes = (decode(rows[symbol]) for symbol in symbols if symbol in rows)
    return {each.symbol: Price.of(each) for each in quotes if each.source != Source.STALE}


def _asked(symbol: str, needed: list[str]) -> Prices:
    """One call serves every process and every order for a while."""
    kept = exchange_info.recall(ASKED)
    rows: Rows = kept.value if kept and kept.is_younger_than(ASKED_FOR) else {}
    if symbol not in rows:
        rows = _ask(symbol, needed)
        exchange_info.keep(ASKED, rows)
    return {name: Price(*map(_decimal, rows[name])) for name in needed if name in rows}


def _ask(symbol: str, needed: list[str]) -> Rows:
    """All tickers; where that does not help, the pair's own."""
    try:
        found = _rows(client().call(rest.tickers("ALL"), deadline=PATIENCE))
    except (Rejected, OutcomeUnknown):
        found = {}
    if symbol not in found:
        found |= _rows(client().call(rest.tickers(needed), deadline=PATIENCE))
    return found


def _rows(tickers: dict[str, AnyTicker]) -> Rows:
    prices = {name: Price.of(each) for name, each in tickers.items() if isinstance(each, Ticker)}
    return {name: [_text(p.bid), _text(p.ask), _text(p.last)] for name, p in prices.items()}


def _text(price: Decimal | None) -> str:
    return "" if price is None else str(price)


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if text else None
