"""All rooms of the exchange, wired together. No I/O: the caller gives the time and carries."""

from market.sandbox.account_rest import AccountRest
from market.sandbox.faults import Faults, Outs
from market.sandbox.keys import Keys
from market.sandbox.notifications import Notifications
from market.sandbox.order_book import OrderBook
from market.sandbox.order_desk import OrderDesk
from market.sandbox.positions import Positions
from market.sandbox.private import Private
from market.sandbox.records import Records
from market.sandbox.rules import Rates, Rules
from market.sandbox.settlement import Settlement
from market.sandbox.store import Changes, Store
from market.sandbox.stream import Streams
from market.sandbox.topics import Source
from market.sandbox.trading import Trading
from market.sandbox.venue import venue_of
from market.sandbox.wallets import Bank


class House:
    """The rooms by name. `changes` is what `app` has yet to store."""

    def __init__(self, source: Source, rates: Rates, seed: int) -> None:
        self.source = source
        self.rules = Rules(rates)
        self.changes = Changes()
        self.venue = venue_of(source)
        self.keys = Keys(self.changes)
        self.bank = Bank(self.changes)
        self.records = Records(self.changes)
        self.orders = OrderBook(self.changes)
        self.positions = Positions(self.changes, self.bank, self.venue)
        self.settlement = Settlement(self.bank, self.positions, self.records)
        self.trading = Trading(self.orders, self.settlement, self.venue)
        self.desk = OrderDesk(self.orders, self.trading, self.positions, self.records, self.venue)
        self.notifications = Notifications(self.desk, self.venue)
        self.private = Private(self)
        self.streams = Streams(source, self.rules, seed, self.private)
        self.faults = Faults(self.streams, self.orders)
        self.account = AccountRest(self)

    def load(self, store: Store) -> None:
        """Take up what an earlier run stored. Raises ValueError when it cannot be read."""
        for room in (self.keys, self.bank, self.records):
            room.load(store)
        for stored in (self.orders, self.positions):
            self.records.seen(stored.load(store))
        self.trading.load()

    def advance(self, now: float) -> Outs:
        """Let time pass; what connections are sent."""
        outs = self.streams.advance(now)
        self.trading.advance(now)
        return outs + self.tell(now)

    def tell(self, now: float) -> Outs:
        """What sockets are told of what just happened to orders and money."""
        return self.private.tell(self.trading.take_notices(), now)
