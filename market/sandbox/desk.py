"""One symbol's desk: its orders, trades, history and ticker, moved by the market's clock."""

import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from market.sandbox.book import Book, Order, View
from market.sandbox.history import Candle, Character, History
from market.sandbox.prices import Pair, five, spell_row, step
from market.sandbox.topics import Row, Topic

_KEPT_TRADES = 600
_PAST_TRADES = 150


class Desk(ABC):
    """What trading and funding symbols share.

    `ids` numbers orders and trades of all desks. `frozen` desks do nothing of themselves.
    """

    def __init__(
        self, symbol: str, seed: str, start_ms: int, price: float, character: Character
    ) -> None:
        self.symbol = symbol
        self.rng = random.Random(seed)
        self.last = price
        self.frozen = False
        self.shown = ""
        self.book = Book(funding=symbol.startswith("f"))
        self.views: dict[Topic, View] = {}
        self._history = History(seed, start_ms, price, character)
        self._start_ms = start_ms
        self._trades: deque[Row] = deque(maxlen=_KEPT_TRADES)
        self._past: list[Row] | None = None

    @property
    def report(self) -> str:
        """Prefix of the trade reports: `te` and `tu`, `fte` and `ftu`."""
        return "ft" if self.book.funding else "t"

    @abstractmethod
    def ticker(self, now_ms: int) -> str:
        """JSON text of the ticker's array."""

    @abstractmethod
    def _trade_text(self, trade_id: int, mts: int, amount: int, price: float) -> str:
        """A trade's row; `amount` signed, in units of 1e-8."""

    def candles(self, timeframe: str, start: int, end: int) -> Iterator[Row]:
        for candle in self._history.candles(timeframe, start, end):
            yield Row(candle.mts, candle_text(candle))

    def trades(self) -> Sequence[Row]:
        """Trades, newest first: those made here, then the remembered ones."""
        if self._past is None:
            self._past = list(islice(self._remember(), _PAST_TRADES))
        return [*self._trades, *self._past]

    def record(self, trade_id: int, mts: int, amount: int, price: float) -> str:
        """Note a trade (signed amount, units of 1e-8); its row."""
        self.last = price
        self._history.add(mts, price, abs(amount))
        text = self._trade_text(trade_id, mts, amount, price)
        self._trades.appendleft(Row(mts, text))
        return text

    def _remember(self) -> Iterator[Row]:
        """Trades of the past, newest first: each minute's close, extremes and open."""
        rng = random.Random(f"{self.symbol}:{self._start_ms}")
        trade_id = (self._start_ms - 1_500_000_000_000) - 1
        for candle in self._history.past_minutes():
            prices = [candle.close, candle.high, candle.low, candle.open]
            if candle.high == candle.low:
                prices = prices[:1]
            share = candle.volume // len(prices)
            if not share:
                continue
            for place, price in enumerate(prices):
                amount = share if place else candle.volume - share * (len(prices) - 1)
                mts = candle.mts + 59_000 - place * 15_000 - rng.randrange(9000)
                yield Row(mts, self._trade_text(trade_id, mts, rng.choice((1, -1)) * amount, price))
                trade_id -= rng.randrange(1, 9)

    def _since_yesterday(self, now_ms: int) -> tuple[float, float, Candle]:
        """Change of 24 hours, absolute and as a fraction, and those hours as one candle."""
        day = self._history.day(now_ms)
        change = self.last - day.open
        return round(change, 8), round(change / day.open, 8 if self.book.funding else 4), day


class PairDesk(Desk):
    """A trading pair: orders gather round its fair price, trades take the best of them."""

    def __init__(
        self,
        pair: Pair,
        seed: str,
        start_ms: int,
        price: float,
        base_usd: float,
        ids: Iterator[int],
    ) -> None:
        character = Character(
            pair.volatility,
            int(pair.trades_per_minute * 1440 * pair.dollars_per_trade / base_usd * 1e8),
            pair.trades_per_minute,
        )
        super().__init__(pair.symbol, seed, start_ms, price, character)
        self.pair = pair
        self._ids = ids
        self._orders = 300 if pair.busy else 60
        self._mean = max(10, int(pair.dollars_per_trade / base_usd * 1e8))
        self._listed_ms = start_ms - int(86_400_000 * (200 + 2000 * self.rng.random()))
        for bid in (True, False):
            self._fill(price, self._orders, bid=bid)

    def quote(self, fair: float) -> None:
        """Let the book follow the fair price: crossed orders go, some come, some are cancelled."""
        self._sweep(fair)
        for bid in (True, False):
            thin = self.book.count(bid=bid) < self._orders * 3 // 4
            self._fill(fair, 3 if thin else 1, bid=bid)
            if self.book.count(bid=bid) > self._orders:
                place = self.rng.randrange(self.book.count(bid=bid))
                self.book.remove(self.book.at(place, bid=bid).id, bid=bid)

    def take(self) -> list[tuple[float, int]]:
        """A taker comes: up to three fills as (price, signed amount)."""
        buy = self.rng.random() < 0.5
        amount = max(1, int(self._mean * self.rng.lognormvariate(-0.5, 1.0)))
        fills: list[tuple[float, int]] = []
        while amount > 0 and len(fills) < 3:
            order = self.book.best(bid=not buy)
            if order is None:
                break
            filled = min(amount, order.amount)
            amount, order.amount = amount - filled, order.amount - filled
            if not order.amount:
                self.book.remove(order.id, bid=not buy)
            fills.append((order.price, filled if buy else -filled))
        return fills

    def jump(self, price: float) -> int:
        """Move the book round a price; the amount of the trade that sets it."""
        self._sweep(price)
        for bid in (True, False):
            self._fill(price, 20, bid=bid)
        return self._mean

    def ticker(self, now_ms: int) -> str:
        bid, ask = (next(self.book.shown(bid=side), None) for side in (True, False))
        change, relative, day = self._since_yesterday(now_ms)
        return spell_row(
            bid.price if bid else None,
            self.book.depth(25, bid=True) / 1e8,
            ask.price if ask else None,
            self.book.depth(25, bid=False) / 1e8,
            change,
            relative,
            self.last,
            day.volume / 1e8,
            day.high,
            day.low,
            None if self.pair.future else self._listed_ms,
        )

    def _trade_text(self, trade_id: int, mts: int, amount: int, price: float) -> str:
        return spell_row(trade_id, mts, amount / 1e8, price)

    def _sweep(self, fair: float) -> None:
        """Remove the orders on the wrong side of a price."""
        while (bid := self.book.best(bid=True)) and bid.price >= fair:
            self.book.remove(bid.id, bid=True)
        while (ask := self.book.best(bid=False)) and ask.price <= fair:
            self.book.remove(ask.id, bid=False)

    def _fill(self, fair: float, orders: int, *, bid: bool) -> None:
        """Place orders on one side, most of them near the price, none across it."""
        spread = max(step(fair) / 2, fair * (0.00003 if self.pair.busy else 0.0008))
        reach = fair * (0.002 if self.pair.busy else 0.01)
        for _ in range(orders):
            away = spread + self.rng.expovariate(1 / reach)
            price = five(max(fair - away, fair / 10) if bid else fair + away)
            if price < fair if bid else price > fair:
                amount = max(1, int(self._mean * self.rng.lognormvariate(0, 1.2)))
                self.book.add(Order(next(self._ids), price, amount), bid=bid)


class FundingDesk(Desk):
    """A funding currency: offers and bids of daily rates for 2 to 120 days."""

    def __init__(
        self, code: str, seed: str, start_ms: int, rate: float, usd: float, ids: Iterator[int]
    ) -> None:
        super().__init__(
            f"f{code}", seed, start_ms, rate, Character(0.08, int(2e7 / usd * 1e8), 1.0)
        )
        self._ids = ids
        self._rate = rate
        self._mean = int(2e4 / usd * 1e8)
        self._listed_ms = start_ms - int(86_400_000 * (200 + 2000 * self.rng.random()))
        for _ in range(60):
            self._offer(bid=True)
            self._offer(bid=False)

    def lend(self) -> tuple[float, int]:
        """A loan is made: its rate and signed amount. Another offer takes the place."""
        bid = self.rng.random() < 0.5
        order = self.book.at(self.rng.randrange(3), bid=bid)
        self.book.remove(order.id, bid=bid)
        self._offer(bid=bid)
        return order.price, -order.amount if bid else order.amount

    def ticker(self, now_ms: int) -> str:
        bid, ask = self.book.at(0, bid=True), self.book.at(0, bid=False)
        change, relative, day = self._since_yesterday(now_ms)
        return spell_row(
            round((bid.price + ask.price) / 2, 8),
            bid.price, bid.period, self.book.depth(25, bid=True) / 1e8,
            ask.price, ask.period, self.book.depth(25, bid=False) / 1e8,
            change, relative, self.last, day.volume / 1e8, day.high, day.low,
            None, None, self.book.depth(1000, bid=False) / 1e8, self._listed_ms,
        )  # fmt: skip

    def _trade_text(self, trade_id: int, mts: int, amount: int, price: float) -> str:
        period = 2 if trade_id % 3 else 30
        return spell_row(trade_id, mts, amount / 1e8, price, period)

    def _offer(self, *, bid: bool) -> None:
        away = 1 + self.rng.expovariate(1 / 0.05)
        rate = five(self._rate * 0.99 / away if bid else self._rate * 1.01 * away)
        amount = max(1, int(self._mean * self.rng.lognormvariate(0, 1.2)))
        period = self.rng.choice((2, 2, 2, 7, 30, 120))
        self.book.add(Order(next(self._ids), rate, amount, period), bid=bid)


def candle_text(candle: Candle) -> str:
    return spell_row(*candle[:5], candle.volume / 1e8)


def listed(rows: Sequence[str]) -> str:
    """A JSON array of rows."""
    return "[" + ",".join(rows) + "]"
