"""Prices for whoever has to say what an order is worth and has no live ones.

A web process has them in its hub and passes them on. A script reads what the feed saved last; and
where no feed runs, it asks the exchange, at most twice a minute for all processes together.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from market.bitfinex import rest
from market.bitfinex.messages import Ticker
from market.client import client
from market.models import ExchangeInfo, SavedQuotes
from market.quotes import decode
from market.rates import Price, Prices, symbols_for

SAVED_FOR = timedelta(minutes=2)  # the feed saves every 30 s
ASKED_FOR = timedelta(seconds=30)
ASKED = "tickers"
PATIENCE = 5.0  # seconds to wait for a slot


def known_prices(symbol: str) -> Prices:
    """Prices that tell what an order of this pair is worth, none older than two minutes.

    Raises one of `market.bitfinex.errors` when the exchange has to be asked and does not answer.
    """
    needed = symbols_for(symbol)
    saved = _saved(needed)
    return saved if symbol in saved else _asked(needed)


def _saved(symbols: Iterable[str]) -> Prices:
    now = timezone.now()
    rows: dict[str, str] = {}
    for table in SavedQuotes.objects.filter(saved_at__gt=now - SAVED_FOR, saved_at__lte=now):
        rows.update(table.rows)
    return {symbol: Price.of(decode(rows[symbol])) for symbol in symbols if symbol in rows}


def _asked(symbols: Iterable[str]) -> Prices:
    """All tickers at once, so that one call serves every process and every order."""
    now = timezone.now()
    known = ExchangeInfo.objects.filter(name=ASKED).first()
    if known is None or not now - ASKED_FOR < known.read_at <= now:
        known = _ask(now)
    found = {name: known.value[name] for name in symbols if name in known.value}
    return {name: Price(*map(_decimal, row)) for name, row in found.items()}


def _ask(now: datetime) -> ExchangeInfo:
    tickers = client().call(rest.tickers("ALL"), deadline=PATIENCE)
    prices = {name: Price.of(each) for name, each in tickers.items() if isinstance(each, Ticker)}
    rows = {name: [_text(p.bid), _text(p.ask), _text(p.last)] for name, p in prices.items()}
    known, _ = ExchangeInfo.objects.update_or_create(
        name=ASKED, defaults={"value": rows, "read_at": now}
    )
    return known


def _text(price: Decimal | None) -> str:
    return "" if price is None else str(price)


def _decimal(text: str) -> Decimal | None:
    return Decimal(text) if text else None
