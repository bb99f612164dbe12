"""The newest state of each symbol, as one row that every later stage passes on unchanged.

A quote is encoded once, in the feed, into the JSON array that the browser reads; the channel
layer, the hub and the socket only join those bytes.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from decimal import Decimal
from enum import IntEnum
from typing import Literal

import msgspec

from market.bitfinex.messages import FundingTicker, Number, Ticker

FeedState = Literal["live", "connecting", "stale", "offline"]


class Source(IntEnum):
    """How a row is known."""

    SNAPSHOT = 0  # one REST call, no live channel yet
    LIVE = 1  # its channel is subscribed and alive
    STALE = 2  # the channel or its socket was lost: last known values


class Quote(msgspec.Struct, array_like=True, frozen=True):
    """One row. Prices in the quote currency, `change_percent` as a fraction (0.01 is 1 %),
    `volume` in the base currency over 24 h, `seen` in ms since epoch.
    """

    symbol: str
    last: Number | None
    bid: Number | None
    ask: Number | None
    change: Number | None
    change_percent: Number | None
    volume: Number | None
    high: Number | None
    low: Number | None
    seen: int
    source: int


class FundingQuote(Quote, array_like=True, frozen=True):
    """A funding currency (`fUSD`): daily rates instead of prices, periods in days, and the flash
    return rate as a daily rate.
    """

    frr: Number | None
    bid_period: int | None
    ask_period: int | None


FIELDS = Quote.__struct_fields__
FUNDING_FIELDS = FundingQuote.__struct_fields__


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the feed says of itself. Times in ms since epoch; `reason` is written for people."""

    state: FeedState
    since: int
    at: int
    retry_at: int | None = None
    reason: str = ""
    sockets: int = 0
    wanted: int = 0


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one flush of the feed carries to every web process.

    `rows` maps symbol → the quote's JSON array as text; `full` says that it is every symbol of
    this `range`, one of so many `ranges`.
    """

    rows: dict[str, str]
    status: FeedStatus
    full: bool = False
    range: int = 0
    ranges: int = 1


encode = msgspec.json.Encoder().encode
_decode_trading = msgspec.json.Decoder(Quote).decode
_decode_funding = msgspec.json.Decoder(FundingQuote).decode


def decode(row: str) -> Quote:
    """The quote that `encode` made this JSON array of."""
    return _decode_funding(row) if row.startswith('["f') else _decode_trading(row)


def plain(number: Number) -> str:
    """The number as plain decimal text: no exponent, no separator, no trailing `.0`."""
    if isinstance(number, int):
        return str(number)
    text = format(Decimal(repr(number)), "f")
    return text.removesuffix(".0")


class QuoteBook:
    """Newest quote of each symbol, and which of them changed since they were last taken."""

    def __init__(self) -> None:
        self._quotes: dict[str, Quote] = {}
        self._traded_ms: dict[str, int] = {}
        self._changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._quotes)

    def symbols(self) -> list[str]:
        return list(self._quotes)

    def get(self, symbol: str) -> Quote | None:
        return self._quotes.get(symbol)

    def apply_ticker(
        self, symbol: str, ticker: Ticker | FundingTicker, now_ms: int, source: Source
    ) -> None:
        """The ticker replaces the whole row: it is newer than every trade seen before it."""
        t = ticker
        if isinstance(t, FundingTicker):
            prices = (t.last, t.bid, t.ask, t.change, t.change_relative, t.volume, t.high, t.low)
            terms = (t.frr, t.bid_period, t.ask_period)
            self._put(FundingQuote(symbol, *prices, now_ms, source, *terms))
            return
        self._quotes[symbol] = Quote(  # spelled out: most frames come here, unpacking costs 20 %
            symbol,
            t.last,
            t.bid,
            t.ask,
            t.change,
            t.change_relative,
            t.volume,
            t.high,
            t.low,
            now_ms,
            source,
        )
        self._changed.add(symbol)

    def apply_trade(self, symbol: str, price: Number, trade_ms: int, now_ms: int) -> None:
        """A trade moves `last` only; an older trade than one already seen changes nothing."""
        quote = self._quotes.get(symbol)
        if quote is None or trade_ms < self._traded_ms.get(symbol, 0):
            return
        self._traded_ms[symbol] = trade_ms
        self._put(msgspec.structs.replace(quote, last=price, seen=now_ms))

    def mark(self, symbols: Iterable[str], source: Source) -> None:
        """Say how the rows are known, without touching their values or age."""
        for symbol in symbols:
            quote = self._quotes.get(symbol)
            if quote is not None and quote.source != source:
                self._put(msgspec.structs.replace(quote, source=source))

    def keep_only(self, symbols: Collection[str]) -> None:
        """Forget every other row."""
        kept = set(symbols)
        self._quotes = {name: row for name, row in self._quotes.items() if name in kept}
        self._changed &= kept

    def take_changed(self) -> dict[str, str]:
        """Encoded rows that changed since the last call."""
        changed, self._changed = self._changed, set()
        return self._encoded(changed)

    def take_all(self) -> dict[str, str]:
        """Every row, encoded; nothing counts as changed afterwards."""
        self._changed.clear()
        return self._encoded(self._quotes)

    def rows(self, symbols: Iterable[str]) -> dict[str, str]:
        """Encoded rows of these symbols, as far as they are known; all that changed stays so."""
        return self._encoded(symbol for symbol in symbols if symbol in self._quotes)

    def load(self, rows: dict[str, str]) -> None:
        """Rows saved earlier: shown until something newer comes, and marked stale. Rows that an
        older version wrote differently are left out.
        """
        for symbol, text in rows.items():
            if symbol not in self._quotes:
                with suppress(msgspec.DecodeError):
                    self._put(msgspec.structs.replace(decode(text), source=Source.STALE))

    def _put(self, quote: Quote) -> None:
        self._quotes[quote.symbol] = quote
        self._changed.add(quote.symbol)

    def _encoded(self, symbols: Iterable[str]) -> dict[str, str]:
        return {symbol: encode(self._quotes[symbol]).decode() for symbol in symbols}
