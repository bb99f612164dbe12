"""What happened: customers' trades and ledger entries, kept in order and listed on demand."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

import msgspec

from market.sandbox.store import Changes, Store
from market.sandbox.wire import Denied

MOST_ROWS = 2500
_USUAL_ROWS = 25
_END_OF_TIME = 1 << 60

EXCHANGE, POSITION, TRANSFER, FEE = 5, 22, 51, 201
"""Categories of ledger entries (Bitfinex docs, rest-auth-ledgers)."""


class Trade(msgspec.Struct):
    """One execution of a customer's order. `amount` and `fee` are signed."""

    id: int
    user: str
    symbol: str
    mts: int
    order: int
    amount: Decimal
    price: Decimal
    kind: str
    order_price: Decimal
    maker: bool
    fee: Decimal
    currency: str
    cid: int

    def row(self, *, fee: bool = True) -> list[Any]:
        """The 12 fields; the first report on a socket (`te`) does not know the fee yet."""
        paid = [self.fee, self.currency] if fee else [None, None]
        return [self.id, self.symbol, self.mts, self.order, self.amount, self.price, self.kind,
                self.order_price, 1 if self.maker else -1, *paid, self.cid]  # fmt: skip

    def order_row(self) -> list[Any]:
        """As `auth/r/order/…/trades` shows it: without type and price of the order."""
        row = self.row()
        row[6:8] = [None, None]
        return row


class Entry(msgspec.Struct):
    """One line of a ledger; `balance` is that of the wallet afterwards."""

    id: int
    user: str
    currency: str
    wallet: str
    mts: int
    amount: Decimal
    balance: Decimal
    text: str
    category: int

    def row(self) -> list[Any]:
        return [self.id, self.currency, self.wallet, self.mts, None, self.amount, self.balance,
                None, f"{self.text} on wallet {self.wallet}"]  # fmt: skip


class Records:
    """Trades and ledger entries of all customers. `next_id` numbers them, and orders as well."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._last = 0
        self._trades: dict[str, list[Trade]] = {}
        self._entries: dict[str, list[Entry]] = {}

    def load(self, store: Store) -> None:
        for trade in sorted(store.load("trade", Trade), key=lambda trade: trade.id):
            self._trades.setdefault(trade.user, []).append(trade)
            self.seen(trade.id)
        for entry in sorted(store.load("entry", Entry), key=lambda entry: entry.id):
            self._entries.setdefault(entry.user, []).append(entry)
            self.seen(entry.id)

    def seen(self, number: int) -> None:
        """No number up to this one is given out again."""
        self._last = max(self._last, number)

    def next_id(self, now: float) -> int:
        """Twelve digits, rising with time, also after a restart."""
        self._last = max(self._last + 1, int(now * 100))
        return self._last

    def add_trade(self, trade: Trade) -> None:
        self._trades.setdefault(trade.user, []).append(trade)
        self._changes.put("trade", str(trade.id), trade)

    def add_entry(self, entry: Entry) -> None:
        self._entries.setdefault(entry.user, []).append(entry)
        self._changes.put("entry", str(entry.id), entry)

    def trades(self, user: str) -> list[Trade]:
        """Oldest first."""
        return self._trades.get(user, [])

    def entries(self, user: str) -> list[Entry]:
        """Oldest first."""
        return self._entries.get(user, [])


T = TypeVar("T")


def listed(
    oldest_first: list[T],
    body: dict[str, Any],
    mts: Callable[[T], int],
    wanted: Callable[[T], bool] = lambda _: True,
) -> list[T]:
    """Rows within `start`, `end` and `limit` of a body, newest first, or oldest with `sort` 1.

    Raises Denied for a limit that is none.
    """
    limit = _whole(body, "limit", _USUAL_ROWS)
    if not 0 < limit <= MOST_ROWS:
        raise Denied(10020, "limit: invalid")
    start, end = _whole(body, "start", 0), _whole(body, "end", _END_OF_TIME)
    first = bisect_left(oldest_first, start, key=mts)
    last = bisect_right(oldest_first, end, key=mts)
    rows: Iterable[T] = _between(oldest_first, first, last, backwards=body.get("sort") != 1)
    return list(islice((row for row in rows if wanted(row)), limit))


def _between(rows: list[T], first: int, last: int, *, backwards: bool) -> Iterator[T]:
    places = range(first, last)
    return (rows[place] for place in (reversed(places) if backwards else places))


def _whole(body: dict[str, Any], name: str, usual: int) -> int:
    value = body.get(name)
    try:
        return usual if value is None else int(value)
    except (TypeError, ValueError):
        raise Denied(10020, f"{name}: invalid") from None
