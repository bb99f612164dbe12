"""Why an order was not even tried. Nothing has left this installation.

OrderNotTried
├── OrderRefused    the policy of the key, or what cannot be computed, forbids it
├── PreviewGone     confirmed too late: prices have moved on
└── IntentTaken     settled by somebody else while it waited for its turn

Texts for people are made where they are shown.
"""

from decimal import Decimal
from typing import Literal

Reason = Literal[
    "symbol", "largest_order", "day_total", "orders_a_minute", "price_band", "no_price", "no_rate"
]


class OrderNotTried(Exception):
    """Nothing was sent."""


class OrderRefused(OrderNotTried):
    """`reason` names the rule, `facts` its numbers (USD, or the pair's own for prices)."""

    def __init__(self, reason: Reason, **facts: Decimal | int | str) -> None:
        told = ", ".join(f"{name} {value}" for name, value in facts.items())
        super().__init__(f"{reason}: {told}" if told else reason)
        self.reason, self.facts = reason, facts


class PreviewGone(OrderNotTried):
    """The review is older than a minute."""


class IntentTaken(OrderNotTried):
    """The order is settled already."""
