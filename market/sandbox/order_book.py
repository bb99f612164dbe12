"""Every customer's orders: the open ones, the closed ones, and the queues of those that rest."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from market.sandbox.orders import Order
from market.sandbox.store import Changes, Store


class OrderBook:
    """Orders by id, by customer and by place in the queue. What changes is noted in `changes`.

    `lag` is a fault: so many seconds a new order is missing from the lists.
    """

    def __init__(self, changes: Changes) -> None:
        self.lag = 0.0
        self._changes = changes
        self._orders: dict[int, Order] = {}
        self._open: dict[str, dict[int, Order]] = {}
        self._closed: dict[str, list[Order]] = {}
        self._watched: dict[int, Order] = {}
        self._queues: dict[tuple[str, bool], list[tuple[Decimal, int, int]]] = {}
        self._places: dict[int, tuple[Decimal, int, int]] = {}
        self._arrived = 0

    def load(self, store: Store) -> int:
        """The largest id of a stored one."""
        for order in sorted(store.load("order", Order), key=lambda order: order.updated):
            self._orders[order.id] = order
            if order.active:
                self._open.setdefault(order.user, {})[order.id] = order
                self._watch(order)
            else:
                self._closed.setdefault(order.user, []).append(order)
        return max(self._orders, default=0)

    def add(self, order: Order) -> None:
        self._orders[order.id] = order
        self._open.setdefault(order.user, {})[order.id] = order
        self.note(order)

    def note(self, order: Order) -> None:
        """It changed; once it is closed it is among the closed ones."""
        if not order.active and order.id in self._open[order.user]:
            del self._open[order.user][order.id]
            self._closed.setdefault(order.user, []).append(order)
        self._watch(order)
        self._changes.put("order", str(order.id), order)

    def _watch(self, order: Order) -> None:
        if order.active and (order.pending or order.tif is not None):
            self._watched[order.id] = order
        else:
            self._watched.pop(order.id, None)

    def get(self, order_id: int) -> Order | None:
        return self._orders.get(order_id)

    def all(self) -> list[Order]:
        return list(self._orders.values())

    def open(self, user: str) -> list[Order]:
        """Newest first."""
        return list(self._open.get(user, {}).values())[::-1]

    def closed(self, user: str) -> list[Order]:
        """In the order in which they were closed."""
        return self._closed.get(user, [])

    def seen(self, order: Order, now: float) -> bool:
        """Whether the lists show it yet."""
        return not self.lag or order.created <= (now - self.lag) * 1000

    def every_open(self) -> Iterator[Order]:
        for orders in self._open.values():
            yield from orders.values()

    def watched(self) -> list[Order]:
        """Open orders that time or the last price can change: stops, and those with an end."""
        return list(self._watched.values())

    # Those that rest, by price and time

    def rest(self, order: Order) -> None:
        """Put an order at the end of the queue of its price."""
        self._arrived += 1
        place = (-order.price if order.buys else order.price, self._arrived, order.id)
        self._places[order.id] = place
        insort(self._queues.setdefault((order.symbol, order.buys), []), place)

    def leave(self, order: Order) -> bool:
        """Take it out of its queue; whether it was in one."""
        place = self._places.pop(order.id, None)
        if place is None:
            return False
        queue = self._queues[order.symbol, order.buys]
        del queue[bisect_left(queue, place)]
        if not queue:
            del self._queues[order.symbol, order.buys]
        return True

    def resting(self, symbol: str, *, bid: bool) -> Iterator[Order]:
        """Best first. The queue must not change meanwhile."""
        return (self._orders[number] for _, _, number in self._queues.get((symbol, bid), ()))

    def resting_symbols(self) -> set[str]:
        return {symbol for symbol, _ in self._queues}
