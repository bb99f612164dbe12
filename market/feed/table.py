"""The table of quotes, and how truthfully each row is known.

A row is live while its ticker channel is: subscribed, and heard. Everything else is a snapshot, or
stale. Trades move a price; they do not vouch for the rest of the row.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from market.bitfinex import events
from market.bitfinex.events import Channel, Event
from market.bitfinex.messages import AnyTicker
from market.feed.ports import Clock, Notify
from market.quotes import QuoteBook, Source


class Table:
    """Hears every connection. `on_change` is called whenever there is something new to tell."""

    def __init__(self, clock: Clock, on_change: Notify) -> None:
        self.book = QuoteBook()
        self.maintenance = False
        self._clock = clock
        self._on_change = on_change
        self._told: set[str] = set()  # symbols whose channel has sent a ticker

    @property
    def any_live(self) -> bool:
        return any(map(self.is_live, self._told))

    def hear(self, event: Event) -> None:
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
            self._on_change()

    def lose(self, channels: Iterable[Channel]) -> None:
        """Keep the last values of these, marked as such."""
        lost = {ch.target for ch in channels if ch.name == "ticker"}
        self._told -= lost
        self.book.mark(lost, Source.STALE)
        self._on_change()

    def fill(self, tickers: Mapping[str, AnyTicker], symbols: Collection[str]) -> None:
        """Rows of a REST answer, for symbols that have nothing better."""
        source = Source.STALE if self.maintenance else Source.SNAPSHOT
        for symbol in symbols:
            ticker = tickers.get(symbol)
            if ticker is not None and not self.is_live(symbol):
                self.book.apply_ticker(symbol, ticker, self._clock.wall_ms(), source)
        self._on_change()

    def load(self, rows: Mapping[str, str]) -> None:
        self.book.load(dict(rows))
        self._on_change()

    def keep_only(self, symbols: Collection[str]) -> None:
        """Whatever else was traded once is not any more."""
        self._told.intersection_update(symbols)
        self.book.keep_only(symbols)

    def is_live(self, symbol: str) -> bool:
        quote = self.book.get(symbol)
        return quote is not None and quote.source == Source.LIVE

    def begin_maintenance(self) -> None:
        self.maintenance = True
        self.book.mark(self.book.symbols(), Source.STALE)

    def end_maintenance(self) -> None:
        self.maintenance = False

    def _welcomed(self, event: events.Welcomed) -> None:
        if event.operative:
            self.end_maintenance()
        else:
            self.begin_maintenance()

    def _ticker(self, event: events.TickerSeen) -> None:
        now_ms, symbol = self._clock.wall_ms(), event.channel.target
        self._told.add(symbol)
        self.book.apply_ticker(symbol, event.ticker, now_ms, self._heard_source)

    def _heartbeat(self, event: events.Heartbeat) -> None:
        if event.channel.name == "ticker" and event.channel.target in self._told:
            self.book.mark([event.channel.target], self._heard_source)

    def _trade(self, event: events.TradeSeen) -> None:
        trade = event.trade
        symbol = event.channel.target
        self.book.apply_trade(symbol, trade.price, trade.mts, self._clock.wall_ms())

    def _trades(self, event: events.TradesSeen) -> None:
        """What happened while the channel was away."""
        for trade in sorted(event.trades, key=lambda trade: trade.id)[-1:]:
            self._trade(events.TradeSeen(event.channel, trade))

    def _unsubscribed(self, event: events.Unsubscribed) -> None:
        self.lose([event.channel])

    @property
    def _heard_source(self) -> Source:
        return Source.STALE if self.maintenance else Source.LIVE


_HANDLERS: dict[type, Callable[[Table, Any], None]] = {
    events.Welcomed: Table._welcomed,
    events.MaintenanceBegan: lambda table, _: table.begin_maintenance(),
    events.MaintenanceEnded: lambda table, _: table.end_maintenance(),
    events.TickerSeen: Table._ticker,
    events.Heartbeat: Table._heartbeat,
    events.TradeSeen: Table._trade,
    events.TradesSeen: Table._trades,
    events.Unsubscribed: Table._unsubscribed,
}
