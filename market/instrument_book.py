"""The exchange's configuration of its pairs, kept in `ExchangeInfo`.

Read about once an hour for all processes together. Nobody waits for it: of what is not known the
exchange itself decides.
"""

import time
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import msgspec
import structlog
from django.db import DatabaseError

from market import exchange_info
from market.background import Full, background
from market.bitfinex import rest
from market.bitfinex.errors import ExchangeError
from market.client import client
from market.instruments import KEYS, Instrument, read_instruments

log = structlog.get_logger(__name__)

NAME = "instruments"
FRESH = timedelta(hours=1)
USEFUL = timedelta(days=1)
PATIENCE = 5.0  # seconds to wait for a slot
TRY_AGAIN = 60.0  # seconds after a failure


class Found(NamedTuple):
    """`is_known` is False while the configuration is not there; else `instrument` is None for a
    pair that the exchange does not list."""

    is_known: bool
    instrument: Instrument | None = None


class Turn:
    """When this process may ask next."""

    def __init__(self) -> None:
        self._next = 0.0

    def take(self, now: float) -> bool:
        """`now` on the monotonic clock."""
        if now < self._next:
            return False
        self._next = now + TRY_AGAIN
        return True


@cache
def turn() -> Turn:
    return Turn()


def find_instrument(symbol: str) -> Found:
    """As far as it is known here. Starts to read the configuration anew when it is an hour old."""
    kept = exchange_info.recall(NAME)
    if not (kept and kept.is_younger_than(FRESH)) and turn().take(time.monotonic()):
        with suppress(Full):
            background().run(NAME, refresh)
    if kept is None or not kept.is_younger_than(USEFUL):
        return Found(False)
    return Found(True, _read(symbol, kept.value.get(symbol)))


def refresh() -> None:
    """Asks the exchange. A failure is logged: the next one who needs it tries again."""
    try:
        values = client().call(rest.conf(KEYS), deadline=PATIENCE)
        pairs = read_instruments(values)
        rows = {symbol: _text(pair) for symbol, pair in pairs.items()}
        if rows:
            exchange_info.keep(NAME, rows)
    except (ExchangeError, DatabaseError, msgspec.ValidationError) as error:
        log.warning("configuration of pairs not read", problem=str(error))


def _text(pair: Instrument) -> list[Any]:
    sizes = (None if size is None else format(size, "f") for size in (pair.smallest, pair.largest))
    return [sorted(pair.kinds), *sizes]


def _read(symbol: str, row: list[Any] | None) -> Instrument | None:
    if row is None:
        return None
    kinds, *sizes = row
    numbers = (None if size is None else Decimal(size) for size in sizes)
    return Instrument(symbol, frozenset(kinds), *numbers)
