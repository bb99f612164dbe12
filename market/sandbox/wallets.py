"""Customers of the exchange and their wallets: invented money, kept to the last digit."""

from decimal import Decimal
from typing import Any

import msgspec

from market.sandbox.store import Changes, Store

ZERO = Decimal(0)

_START = {
    "exchange": "AAA 50025 BBB 50025 BTC 10 ETH 100 EUR 50000 LTC 500 TESTBTC 10 TESTUSD 100000"
    " TESTUSDT 100000 USD 100000 UST 100000 XRP 50000",
    "margin": "BTC 5 TESTBTC 5 TESTUSD 100000 TESTUSDT 100000 TESTUSDTF0 50000 USD 100000"
    " UST 100000 USTF0 50000",
    "funding": "TESTUSDT 9000 USD 10000 UST 10000",
}
"""What every customer begins with."""


class Wallet(msgspec.Struct):
    """`balance` is all of it, `reserved` what open orders have taken of it."""

    user: str
    kind: str
    currency: str
    balance: Decimal = ZERO
    reserved: Decimal = ZERO
    change: str | None = None
    meta: dict[str, Any] | None = None

    @property
    def available(self) -> Decimal:
        return self.balance - self.reserved

    def row(self, *, available: bool = True) -> list[Any]:
        """`[TYPE,CCY,BALANCE,UNSETTLED_INTEREST,AVAILABLE,LAST_CHANGE,META]`; the snapshot of the
        socket leaves AVAILABLE out (recorded 2021)."""
        shown = self.available if available else None
        return [self.kind, self.currency, self.balance, 0, shown, self.change, self.meta]


class User(msgspec.Struct):
    """A customer. `number` is the id that the exchange's rows show."""

    name: str
    number: int
    created: float

    def row(self) -> list[Any]:
        """The row of `auth/r/info/user` (layout: documentation sample)."""
        mts = int(self.created * 1000)
        row: list[Any] = [None] * 55
        row[:12] = [self.number, f"{self.name}@sandbox.invalid", self.name, mts, 1, 3, None,
                    "Etc/UTC", "en", "bitfinex", 1, None]  # fmt: skip
        row[14:20] = [mts, 79, self.number, 1, 1, 1]
        row[21:28] = [1, None, 1, None, None, ["otp"], None]
        row[44] = "2022-09-06T12:14:14.600Z"
        return row


class Bank:
    """Every customer's wallets. What changes is noted in `changes`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._users: dict[str, User] = {}
        self._wallets: dict[str, dict[tuple[str, str], Wallet]] = {}

    def load(self, store: Store) -> None:
        for user in store.load("user", User):
            self._users[user.name] = user
            self._wallets[user.name] = {}
        for wallet in store.load("wallet", Wallet):
            self._wallets[wallet.user][wallet.kind, wallet.currency] = wallet

    def user(self, name: str, now: float) -> User:
        """A customer, who is made with full wallets when nobody knows him yet."""
        if name not in self._users:
            self._users[name] = User(name, 1_000_001 + len(self._users), now)
            self._changes.put("user", name, self._users[name])
            self._wallets[name] = {}
            for kind, text in _START.items():
                words = text.split()
                for currency, amount in zip(words[::2], words[1::2], strict=True):
                    self._open(name, kind, currency).balance = Decimal(amount)
        return self._users[name]

    def wallets(self, user: str) -> list[Wallet]:
        """Exchange wallets first, then margin, then funding."""
        places = list(_START)
        wallets = self._wallets[user].values()
        return sorted(wallets, key=lambda w: (places.index(w.kind), w.currency))

    def wallet(self, user: str, kind: str, currency: str) -> Wallet:
        """One wallet; an empty one where there was none."""
        return self._wallets[user].get((kind, currency)) or self._open(user, kind, currency)

    def reserve(self, wallet: Wallet, amount: Decimal) -> None:
        """Hold so much for an order; below 0, let go of it."""
        wallet.reserved += amount
        self._note(wallet)

    def book(self, wallet: Wallet, amount: Decimal, change: str, meta: dict[str, Any]) -> None:
        """Add to (or, below 0, take from) the balance."""
        wallet.balance += amount
        wallet.change, wallet.meta = change, meta
        self._note(wallet)

    def _open(self, user: str, kind: str, currency: str) -> Wallet:
        wallet = self._wallets[user][kind, currency] = Wallet(user, kind, currency)
        self._note(wallet)
        return wallet

    def _note(self, wallet: Wallet) -> None:
        name = f"{wallet.user}/{wallet.kind}/{wallet.currency}"
        self._changes.put("wallet", name, wallet)
