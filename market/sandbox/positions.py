"""Margin positions and what they need: opened, changed and closed by fills.

Simplified where the exchange is not documented in numbers: nothing is liquidated and funding costs
nothing. Net value is what the margin wallets are worth in USD plus the open profits.
"""

from decimal import ROUND_DOWN, Decimal
from typing import Any

import msgspec

from market.sandbox.orders import ZERO
from market.sandbox.store import Changes, Store
from market.sandbox.venue import UNIT, Listed, Venue
from market.sandbox.wallets import Bank

INITIAL = Decimal("0.3")
MINIMUM = Decimal("0.15")
USUAL_LEVERAGE = 10


class Position(msgspec.Struct):
    """One position of a customer; `amount` is signed, 0 when it is closed. Times are ms."""

    id: int
    user: str
    symbol: str
    amount: Decimal
    base: Decimal
    created: int
    updated: int
    lev: int | None = None
    meta: dict[str, Any] | None = None

    def row(self, last: Decimal | None = None) -> list[Any]:
        """The 20 fields; what depends on the price is there when `last` is given."""
        gain = relative = None
        if last is not None and self.amount:
            gain = (last - self.base) * self.amount
            relative = gain / abs(self.base * self.amount) * 100
        future = self.lev is not None
        held = abs(self.amount * self.base) / self.lev if self.lev else 0
        return [
            self.symbol, "ACTIVE" if self.amount else "CLOSED", self.amount, self.base, 0, 0,
            gain, relative, None, self.lev, None, self.id, self.created, self.updated, None,
            int(future), None, held, held / 2 if held else 0, self.meta,
        ]  # fmt: skip


class Positions:
    """All positions. What changes is noted in `changes`."""

    def __init__(self, changes: Changes, bank: Bank, venue: Venue) -> None:
        self._changes, self._bank, self._venue = changes, bank, venue
        self._open: dict[str, dict[str, Position]] = {}
        self._closed: dict[str, list[Position]] = {}

    def load(self, store: Store) -> int:
        """The largest id of a stored one."""
        positions = sorted(store.load("position", Position), key=lambda found: found.updated)
        for position in positions:
            if position.amount:
                self._open.setdefault(position.user, {})[position.symbol] = position
            else:
                self._closed.setdefault(position.user, []).append(position)
        return max((position.id for position in positions), default=0)

    def get(self, user: str, symbol: str) -> Position | None:
        return self._open.get(user, {}).get(symbol)

    def open(self, user: str) -> list[Position]:
        return list(self._open.get(user, {}).values())

    def closed(self, user: str) -> list[Position]:
        """Oldest first."""
        return self._closed.get(user, [])

    def begin(self, position: Position) -> None:
        self._open.setdefault(position.user, {})[position.symbol] = position
        self._note(position)

    def change(self, position: Position, amount: Decimal, price: Decimal, now_ms: int) -> Decimal:
        """A fill of so much (signed) at a price on an open position; the profit it realised.

        What goes beyond zero turns the position to the other side, at that price.
        """
        total = position.amount + amount
        gain = ZERO
        if position.amount * amount > 0:
            paid = position.base * position.amount + price * amount
            position.base = (paid / total).quantize(UNIT)
        else:
            closing = min(abs(amount), abs(position.amount))
            sign = 1 if position.amount > 0 else -1
            gain = ((price - position.base) * closing * sign).quantize(UNIT)
            if abs(amount) > abs(position.amount):
                position.base = price
        position.amount = total
        position.updated = now_ms
        if not total:
            del self._open[position.user][position.symbol]
            self._closed.setdefault(position.user, []).append(position)
        self._note(position)
        return gain

    # What they need

    def worth(self, user: str) -> Decimal:
        """All wallets in USD."""
        wallets = self._bank.wallets(user)
        return _money(sum((w.balance * self._venue.usd(w.currency) for w in wallets), ZERO))

    def base(self, user: str) -> list[Decimal]:
        """`[USER_PL, USER_SWAPS, MARGIN_BALANCE, MARGIN_NET, MARGIN_MIN]` in USD."""
        wallets = (w for w in self._bank.wallets(user) if w.kind == "margin")
        balance = sum((w.balance * self._venue.usd(w.currency) for w in wallets), ZERO)
        gain = sum((self._gain(position) for position in self.open(user)), ZERO)
        least = sum((self._worth(position) * MINIMUM for position in self.open(user)), ZERO)
        return [_money(value) for value in (gain, ZERO, balance, balance + gain, least)]

    def pair(self, user: str, listed: Listed) -> list[Any]:
        """`[TRADABLE, GROSS, BUY, SELL, null…]`: in quote, and in base each way."""
        tradable = max(self.tradable(user, listed), ZERO)
        last = self._venue.last(listed.symbol)
        each = tradable / last if last else ZERO
        held = getattr(self.get(user, listed.symbol), "amount", ZERO)
        sides = [each + max(-held, ZERO), each + max(held, ZERO)]
        return [_money(value) for value in (tradable, tradable, *sides)] + [None] * 4

    def tradable(self, user: str, listed: Listed, lev: int | None = None) -> Decimal:
        """For how much (in quote) more can be bought or sold."""
        if listed.future:
            wallet = self._bank.wallet(user, "margin", listed.quote)
            held = sum((abs(p.amount * p.base) / (p.lev or 1) for p in self.open(user)
                        if p.symbol.endswith(listed.quote)), ZERO)  # fmt: skip
            return (wallet.balance - held) * (lev or USUAL_LEVERAGE)
        net = self.base(user)[3]
        held = sum((self._worth(p) * INITIAL for p in self.open(user) if p.lev is None), ZERO)
        value = self._venue.usd(listed.quote)
        return (net - held) / INITIAL / value if value else ZERO

    def spot(self, user: str, listed: Listed, *, buy: bool) -> Decimal:
        """How much of base the exchange wallet can buy at the best price, or sell."""
        wallet = self._bank.wallet(user, "exchange", listed.quote if buy else listed.base)
        best = self._venue.best(listed.symbol, bid=False) if buy else Decimal(1)
        return (wallet.available / best).quantize(UNIT, ROUND_DOWN) if best else ZERO

    def last(self, symbol: str) -> Decimal | None:
        return self._venue.last(symbol)

    def _gain(self, position: Position) -> Decimal:
        last = self._venue.last(position.symbol) or position.base
        return (last - position.base) * position.amount * self._quote_usd(position)

    def _worth(self, position: Position) -> Decimal:
        return abs(position.amount * position.base) * self._quote_usd(position)

    def _quote_usd(self, position: Position) -> Decimal:
        return self._venue.usd(self._venue.listed[position.symbol].quote)

    def _note(self, position: Position) -> None:
        self._changes.put("position", str(position.id), position)


def _money(value: Decimal) -> Decimal:
    return value.quantize(UNIT)
