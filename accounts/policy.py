"""What the owner lets this dashboard do with a key, beside what the exchange lets the key do.

The policy's text is part of what seals the secret: whoever loosens it in the database makes the
secret unreadable instead (see `accounts.vault`).
"""

import json
import re
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Self

SYMBOL = re.compile(r"[tf][A-Z0-9:]{3,30}")


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """Limits of one key. Amounts are in USD; a limit that cannot be computed refuses the order.

    `symbols`: allowed symbols, none means all. `largest_order` and `day_total` (per UTC day):
    USD. `price_band`: fraction of the last price that a limit price may lie on its adverse side,
    above it for a buy and below it for a sell; the other side is free. `orders_a_minute`: none
    means as fast as the exchange allows. Raises `ValueError` for a limit that is no limit.
    """

    symbols: tuple[str, ...] = ()
    largest_order: Decimal = Decimal(50_000)
    day_total: Decimal = Decimal(1_000_000)
    price_band: Decimal = Decimal("0.2")
    orders_a_minute: int | None = None

    def __post_init__(self) -> None:
        if not all(SYMBOL.fullmatch(symbol) for symbol in self.symbols):
            raise ValueError(f"not symbols of the exchange: {self.symbols}")
        for name in ("largest_order", "day_total", "price_band"):
            amount: Decimal = getattr(self, name)
            if not amount.is_finite() or amount <= 0:
                raise ValueError(f"{name} is not a positive amount: {amount}")
        if self.orders_a_minute is not None and self.orders_a_minute < 1:
            raise ValueError(f"orders_a_minute: {self.orders_a_minute}")

    @property
    def text(self) -> str:
        """The one spelling of this policy; it is sealed with the secret."""
        fields = asdict(self) | {"symbols": sorted(set(self.symbols))}
        return json.dumps(fields, default=plain, sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Self:
        fields = json.loads(text)
        amounts = {name: Decimal(fields[name]) for name in fields if isinstance(fields[name], str)}
        return cls(**{**fields, **amounts, "symbols": tuple(fields["symbols"])})


def plain(amount: Decimal) -> str:
    return format(amount.normalize(), "f")
