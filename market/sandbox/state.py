"""The made-up market: currencies that wander, pairs that follow them, and the clock of both.

A currency has one value in USD that walks at random; a pair's fair price is the ratio of its legs,
so cross rates agree at every moment. Everything shown (tickers, trades, candles, books) is derived
from the orders and trades of the desks. The same seed and start give the same market, however
often or seldom it is advanced and whatever is subscribed.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

import msgspec

from market.sandbox.book import View
from market.sandbox.conf import Listing
from market.sandbox.desk import Desk, FundingDesk, PairDesk, listed
from market.sandbox.prices import FUNDING, FUTURES, PAIRS, Pair, currency, five, spell_row
from market.sandbox.topics import Event, Refused, Row, Topic, check, split_candle_key
from market.sandbox.values import Values

TICKER_SECONDS = 10.0
"""The exchange sends at most one ticker a symbol in so many seconds (recorded 2021)."""
STATUS_SECONDS = 5.0
SLOW_BOOK_SECONDS = 2.0
"""Books of frequency F1 are sent this often."""
SNAPSHOT_TRADES = 30
SNAPSHOT_CANDLES = 240
_CATCH_UP_SECONDS = 600.0


class Print(NamedTuple):
    """A trade of the market among itself; `amount` signed by the taker's side, in units of 1e-8."""

    symbol: str
    price: float
    amount: int


class Market:
    """The seeded market behind the exchange; implements `topics.Source`.

    `start` is the time (s) at which the past ends and the present begins. `only` restricts it to
    some symbols.
    """

    def __init__(self, seed: int, start: float, only: Sequence[str] = ()) -> None:
        self._start = self._now = start
        self._skipped = 0.0
        self._values = Values(seed, start)
        self._pairs = [p for p in PAIRS if not only or p.symbol in only]
        self._futures = [p for p in FUTURES if not only or p.symbol in only]
        self._listing = Listing(self._pairs, self._futures)
        self._ids = count(int(start * 1000) - 1_500_000_000_000)
        self._places = count()
        self._agenda: list[tuple[float, int, Callable[[str], list[Event]], str]] = []
        self._topics: set[Topic] = set()
        self._factors: dict[str, float] = {}
        self._unsettled: dict[str, deque[str]] = {}
        self._candles: dict[str, set[Topic]] = {}
        self._waiting: list[Event] = []
        self._prints: list[Print] = []
        self.watched: set[str] = set()
        self._desks: dict[str, Desk] = {}
        self._pair_desks: dict[str, PairDesk] = {}
        self._funding_desks: dict[str, FundingDesk] = {}
        for pair in (*self._pairs, *self._futures):
            self._open_pair(seed, pair)
        for code in FUNDING:
            if not only or f"f{code}" in only:
                self._open_funding(seed, code)

    def _open_pair(self, seed: int, pair: Pair) -> None:
        usd = self._values.at(pair.base, self._start)
        price = five(usd / self._values.at(pair.quote, self._start))
        desk = PairDesk(
            pair, f"{seed}:{pair.symbol}", int(self._start * 1000), price, usd, self._ids
        )
        self._pair_desks[pair.symbol] = desk
        self._open_desk(desk)
        self._plan(desk.rng.expovariate(pair.trades_per_minute / 60), self._trade, pair.symbol)
        self._plan(desk.rng.random() * 8, self._quote, pair.symbol)
        if pair.future:
            self._plan(STATUS_SECONDS, self._status, pair.symbol)

    def _open_funding(self, seed: int, code: str) -> None:
        start_ms, usd = int(self._start * 1000), currency(code).usd
        desk = FundingDesk(code, f"{seed}:f{code}", start_ms, FUNDING[code], usd, self._ids)
        self._funding_desks[desk.symbol] = desk
        self._open_desk(desk)
        self._plan(desk.rng.expovariate(1 / 60), self._lend, desk.symbol)

    def _open_desk(self, desk: Desk) -> None:
        self._desks[desk.symbol] = desk
        self._plan(desk.rng.random() * TICKER_SECONDS, self._ticker, desk.symbol)

    # What the endpoints and channels ask for

    def pairs(self) -> Sequence[str]:
        return [pair.name for pair in self._pairs]

    def symbols(self) -> Sequence[str]:
        return list(self._desks)

    def info(self, key: str) -> str | None:
        value = self._listing.get(key)
        return None if value is None else msgspec.json.encode(value).decode()

    def ticker(self, symbol: str) -> str | None:
        desk = self._desks.get(symbol)
        return desk.ticker(self._ms()) if desk else None

    def trades(self, symbol: str) -> Sequence[Row]:
        return self._desks[symbol].trades()

    def candles(self, key: str, start: int, end: int) -> Iterable[Row]:
        timeframe, symbol = split_candle_key(key)
        if symbol not in self._desks:
            raise Refused("symbol: invalid")
        return self._desks[symbol].candles(timeframe, start, end)

    def book(self, symbol: str, prec: str, length: int) -> Sequence[str]:
        bids, asks = self._desks[symbol].book.lines(prec, length)
        return [line.row for line in (*bids, *asks)]

    def status(self, symbol: str) -> str | None:
        if symbol not in self._pair_desks or not self._pair_desks[symbol].pair.future:
            return None
        desk, now = self._pair_desks[symbol], self._ms()
        spot = round(self._fair(desk), 8)
        next_funding = now - now % 28_800_000 + 28_800_000
        return spell_row(
            now, None, desk.last, spot, None, 62210384.95685668, None, next_funding, 0.00015317,
            3873, None, 0, None, None, round(spot * 1.00007, 8), None, None, 8851.89352831,
            None, None, None, 0.0005, 0.0025,
        )  # fmt: skip

    def open(self, topic: Topic, now: float) -> None:
        check(topic, self._desks)
        if topic.channel == "status" and self.status(topic.symbol) is None:
            raise Refused("symbol: invalid")
        self._topics.add(topic)
        if topic.channel == "candles":
            self._candles.setdefault(topic.symbol, set()).add(topic)
        if topic.channel == "book":
            desk = self._desks[topic.symbol]
            desk.views.setdefault(topic, View(desk.book, topic.prec, int(topic.length)))
            if topic.freq == "F1":
                self._plan(SLOW_BOOK_SECONDS, self._slow_books, topic.symbol)

    def close(self, topic: Topic) -> None:
        self._topics.discard(topic)
        self._candles.get(topic.symbol, set()).discard(topic)
        self._desks[topic.symbol].views.pop(topic, None)

    def snapshot(self, topic: Topic) -> list[str]:
        desk = self._desks[topic.symbol]
        if topic.channel == "ticker":
            return [desk.ticker(self._ms())]
        if topic.channel == "trades":
            return [listed([row.text for row in desk.trades()[:SNAPSHOT_TRADES]])]
        if topic.channel == "book":
            return [listed(desk.views[topic].rows())]
        if topic.channel == "candles":
            rows = self.candles(topic.key, 0, self._ms())
            return [listed([row.text for row in islice(rows, SNAPSHOT_CANDLES)])]
        status = self.status(topic.symbol)
        return [] if status is None else [status]

    def checksum(self, topic: Topic) -> int | None:
        view = self._desks[topic.symbol].views.get(topic)
        return None if view is None or topic.symbol.startswith("f") else view.checksum()

    def control(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """`price` {symbol, price}: trade at a price now. `freeze` {on, symbols}: hold symbols."""
        if command == "price":
            return self._jump(str(arguments["symbol"]), float(arguments["price"]))
        if command == "freeze":
            for symbol in arguments.get("symbols") or self._desks:
                self._known(str(symbol)).frozen = bool(arguments.get("on", True))
            return {"frozen": sum(desk.frozen for desk in self._desks.values())}
        raise Refused(f"{command}: not with the seeded market")

    def advance(self, now: float) -> list[Event]:
        """Play everything due until `now`; a gap of over ten minutes is skipped, not played."""
        if now - self._now > _CATCH_UP_SECONDS:
            self._skipped += now - self._now - _CATCH_UP_SECONDS
        events, self._waiting = self._waiting, []
        while self._agenda and self._agenda[0][0] + self._skipped <= now:
            due, _, act, symbol = heapq.heappop(self._agenda)
            self._now = max(self._now, due + self._skipped)
            events += act(symbol)
        self._now = max(self._now, now)
        return events

    # What the matching of customers' orders asks for (see `venue`)

    def pair_desk(self, symbol: str) -> PairDesk | None:
        return self._pair_desks.get(symbol)

    def trade(self, desk: PairDesk, amount: int, price: float) -> None:
        """A customer traded: signed by the taker's side, in units of 1e-8."""
        self._waiting += [*self._report(desk, amount, price), *self._book_events(desk)]

    def moved(self, desk: PairDesk) -> None:
        """A customer's order came into the book, or left it."""
        self._waiting += self._book_events(desk)

    def take_prints(self) -> list[Print]:
        """Trades of `watched` symbols that no customer had part in, since asked last."""
        prints, self._prints = self._prints, []
        return prints

    # The clock

    def _ms(self) -> int:
        return int(self._now * 1000)

    def _plan(self, wait: float, act: Callable[[str], list[Event]], symbol: str) -> None:
        due = self._now - self._skipped + wait
        heapq.heappush(self._agenda, (due, next(self._places), act, symbol))

    def _quote(self, symbol: str) -> list[Event]:
        desk = self._pair_desks[symbol]
        mean = 0.7 if desk.pair.busy else 8.0
        self._plan(desk.rng.expovariate(1 / mean), self._quote, symbol)
        if desk.frozen:
            return []
        desk.quote(self._fair(desk))
        return self._book_events(desk)

    def _trade(self, symbol: str) -> list[Event]:
        desk = self._pair_desks[symbol]
        self._plan(desk.rng.expovariate(desk.pair.trades_per_minute / 60), self._trade, symbol)
        if desk.frozen:
            return []
        desk.quote(self._fair(desk))
        fills = desk.take()
        if symbol in self.watched:
            self._prints += [Print(symbol, price, amount) for price, amount in fills]
        events = [event for price, amount in fills for event in self._report(desk, amount, price)]
        return events + self._book_events(desk)

    def _lend(self, symbol: str) -> list[Event]:
        desk = self._funding_desks[symbol]
        self._plan(desk.rng.expovariate(1 / 60), self._lend, symbol)
        if desk.frozen:
            return []
        rate, amount = desk.lend()
        return [*self._report(desk, amount, rate), *self._book_events(desk)]

    def _settle(self, symbol: str) -> list[Event]:
        """The second report of the oldest unsettled trade."""
        text = self._unsettled[symbol].popleft()
        return self._emit(Topic("trades", symbol), f'"{self._desks[symbol].report}u",{text}')

    def _ticker(self, symbol: str) -> list[Event]:
        self._plan(TICKER_SECONDS, self._ticker, symbol)
        topic, desk = Topic("ticker", symbol), self._desks[symbol]
        if topic not in self._topics or (text := desk.ticker(self._ms())) == desk.shown:
            return []
        desk.shown = text
        return self._emit(topic, text)

    def _status(self, symbol: str) -> list[Event]:
        self._plan(STATUS_SECONDS, self._status, symbol)
        return self._emit(Topic("status", f"deriv:{symbol}"), self.status(symbol) or "[]")

    def _slow_books(self, symbol: str) -> list[Event]:
        desk = self._desks[symbol]
        slow = [topic for topic in desk.views if topic.freq == "F1"]
        if slow:
            self._plan(SLOW_BOOK_SECONDS, self._slow_books, symbol)
        return self._view_events(desk, slow)

    # What they have in common

    def _known(self, symbol: str) -> Desk:
        if symbol not in self._desks:
            raise Refused("symbol: invalid")
        return self._desks[symbol]

    def _fair(self, desk: PairDesk) -> float:
        base = self._values.at(desk.pair.base, self._now)
        ratio = base / self._values.at(desk.pair.quote, self._now)
        return ratio * self._factors.get(desk.symbol, 1.0)

    def _jump(self, symbol: str, price: float) -> dict[str, Any]:
        desk = self._pair_desks.get(symbol)
        if desk is None or not 0 < five(price) < 1e12:
            raise Refused("symbol: invalid" if desk is None else "price: invalid")
        factor = self._factors.get(symbol, 1.0)
        self._factors[symbol] = factor * five(price) / self._fair(desk)
        amount = desk.jump(five(price))
        self._waiting += [*self._report(desk, amount, five(price)), *self._book_events(desk)]
        return {"symbol": symbol, "last": five(price)}

    def _report(self, desk: Desk, amount: int, price: float) -> list[Event]:
        """A trade happened: its first report at once, the second up to 58 ms later."""
        mts = self._ms()
        text = desk.record(next(self._ids), mts, amount, price)
        self._unsettled.setdefault(desk.symbol, deque()).append(text)
        self._plan(desk.rng.uniform(0.002, 0.058), self._settle, desk.symbol)
        events = self._emit(Topic("trades", desk.symbol), f'"{desk.report}e",{text}')
        for topic in self._candles.get(desk.symbol, ()):
            row = next(desk.candles(split_candle_key(topic.key)[0], 0, mts))
            events.append(Event(topic, [row.text]))
        return events

    def _book_events(self, desk: Desk) -> list[Event]:
        return self._view_events(desk, [topic for topic in desk.views if topic.freq == "F0"])

    def _view_events(self, desk: Desk, topics: Iterable[Topic]) -> list[Event]:
        updates = ((topic, desk.views[topic].update()) for topic in topics)
        return [Event(topic, rows) for topic, rows in updates if rows]

    def _emit(self, topic: Topic, text: str) -> list[Event]:
        return [Event(topic, [text])] if topic in self._topics else []


def read_symbols(text: str) -> list[str]:
    """`tBTCUSD,fUSD` → the symbols. Raises ValueError for one that the market has not."""
    known = {pair.symbol for pair in (*PAIRS, *FUTURES)} | {f"f{code}" for code in FUNDING}
    symbols = [word.strip() for word in text.split(",") if word.strip()]
    if strange := sorted(set(symbols) - known):
        raise ValueError(f"no such symbol: {', '.join(strange)}")
    return symbols
