"""A customer's order: its kinds and flags, its row, and the words of its status.

Layout and words are those of docs.bitfinex.com (rest-auth-orders) and of recorded rows (2017-2024).
"""

from decimal import Decimal
from typing import Any

import msgspec

from market.sandbox.prices import spell

ZERO = Decimal(0)
HIDDEN, CLOSE, REDUCE_ONLY, POST_ONLY, OCO, NO_VAR_RATES = 64, 512, 1024, 4096, 16384, 524288
FLAGS = HIDDEN | CLOSE | REDUCE_ONLY | POST_ONLY | OCO | NO_VAR_RATES
STOPS = ("STOP", "STOP LIMIT", "TRAILING STOP")
BASIC = ("MARKET", "LIMIT", *STOPS, "FOK", "IOC")
KINDS = (*BASIC, *(f"EXCHANGE {kind}" for kind in BASIC))
"""All types; those with the prefix trade with the exchange wallet, the others on margin."""

_SAID_FILLS = 5


class Order(msgspec.Struct):
    """One order. `amount` is what is left, signed like `original`: above 0 buys.

    `price` is the limit, of a pending stop the price that triggers it; `aux` the limit of a stop
    limit, `trailing` the distance of a trailing stop. `reserved` is what it holds of its wallet,
    `traded` and `cost` what was filled, in base (signed) and quote (unsigned). `created`, `updated`
    and `tif` are ms.
    """

    id: int
    user: str
    key: str
    symbol: str
    kind: str
    amount: Decimal
    original: Decimal
    price: Decimal
    created: int
    updated: int
    cid: int
    gid: int | None = None
    flags: int = 0
    average: Decimal = ZERO
    trailing: Decimal = ZERO
    aux: Decimal = ZERO
    tif: int | None = None
    lev: int | None = None
    meta: dict[str, Any] = {}
    previous: str | None = None
    placed: int | None = None
    partner: int | None = None
    reserved: Decimal = ZERO
    traded: Decimal = ZERO
    cost: Decimal = ZERO
    fills: list[str] = []
    status: str = "ACTIVE"
    active: bool = True

    @property
    def spot(self) -> bool:
        return self.kind.startswith("EXCHANGE ")

    @property
    def basic(self) -> str:
        """The type without its prefix."""
        return self.kind.removeprefix("EXCHANGE ")

    @property
    def pending(self) -> bool:
        """A stop that nothing has triggered yet."""
        return self.basic in STOPS

    @property
    def buys(self) -> bool:
        return self.original > 0

    @property
    def hidden(self) -> bool:
        return bool(self.flags & HIDDEN)

    def become(self, basic: str) -> None:
        """A triggered stop turns into a market or limit order."""
        self.previous = self.kind
        self.kind = f"EXCHANGE {basic}" if self.spot else basic

    def fill(self, amount: Decimal, price: Decimal, now_ms: int) -> None:
        """So much (signed) was traded at a price."""
        self.traded += amount
        self.cost += abs(amount) * price
        self.average = (self.cost / abs(self.traded)).quantize(Decimal("1e-8"))
        self.amount -= amount
        self.fills.append(f"{spell(float(price))}({spell(float(amount))})")
        self.status = f"PARTIALLY FILLED @ {self.fills[-1]}"
        self.updated = now_ms

    def end(self, word: str, now_ms: int) -> None:
        """Close it. `word` is why, `EXECUTED` when there is nothing left."""
        said = [f"PARTIALLY FILLED @ {fill}" for fill in self.fills[::-1][:_SAID_FILLS]]
        if word == "EXECUTED":
            word, said = f"EXECUTED @ {self.fills[-1]}", said[1:]
        link = ": was " if self.fills and not self.amount else " was: "
        self.status = word + link + ", ".join(said) if said else word
        self.active = False
        self.updated = now_ms

    def row(self) -> list[Any]:
        """The 32 fields of rest-auth-orders."""
        return [
            self.id, self.gid, self.cid, self.symbol, self.created, self.updated,
            self.amount, self.original, self.kind, self.previous, self.tif, None,
            self.flags, self.status, None, None,
            self.price, self.average, self.trailing, self.aux, None, None, None,
            0, int(self.hidden), self.placed, None, None, "API>BFX", None, None, self._meta(),
        ]  # fmt: skip

    def _meta(self) -> dict[str, Any]:
        meta = dict(self.meta)
        if self.flags & POST_ONLY:
            meta["$F7"] = 1
        if self.lev is not None:
            meta |= {"lev": self.lev, "$F33": self.lev}
        return meta
