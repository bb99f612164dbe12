"""All rooms of the exchange, wired together. No I/O: the caller gives the time and carries."""

from market.sandbox.account_rest import AccountRest
from market.sandbox.faults import Faults, Outs
from market.sandbox.keys import Keys
from market.sandbox.private import Private
from market.sandbox.rules import Rates, Rules
from market.sandbox.store import Changes, Store
from market.sandbox.stream import Streams
from market.sandbox.topics import Source
from market.sandbox.wallets import Bank


class House:
    """The rooms by name. `changes` is what `app` has yet to store."""

    def __init__(self, source: Source, rates: Rates, seed: int) -> None:
        self.source = source
        self.rules = Rules(rates)
        self.changes = Changes()
        self.keys = Keys(self.changes)
        self.bank = Bank(self.changes)
        self.private = Private(self.keys, self.bank, self.rules)
        self.streams = Streams(source, self.rules, seed, self.private)
        self.faults = Faults(self.streams)
        self.account = AccountRest(self.keys, self.bank)

    def load(self, store: Store) -> None:
        """Take up what an earlier run stored. Raises ValueError when it cannot be read."""
        for room in (self.keys, self.bank):
            room.load(store)

    def advance(self, now: float) -> Outs:
        """Let time pass; what connections are sent."""
        return self.streams.advance(now)
