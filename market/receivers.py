"""What this app does when accounts tell of something."""

from typing import Any

from django.dispatch import receiver

from accounts import signals
from accounts.models import User
from market.models import OrderIntent, OrderState, OrderTally

OF_AN_ORDER = (
    "key_id", "state", "order_text", "cid", "order_id", "status", "reason", "created_at",
    "confirmed_at", "sent_at", "settled_at",
)  # fmt: skip


@receiver(signals.personal_data)
def tell_orders(sender: type[User], user: User, **_: Any) -> dict[str, Any]:
    """Every order that he confirmed here."""
    confirmed = OrderIntent.objects.filter(owner=user).exclude(state=OrderState.PREVIEW)
    return {"orders": list(confirmed.values(*OF_AN_ORDER))}


@receiver(signals.account_deleted)
def erase_orders(sender: type[User], user: User, **_: Any) -> None:
    """The exchange keeps its own record; the trail keeps that an order was confirmed."""
    OrderIntent.objects.filter(owner=user).delete()
    OrderTally.objects.filter(key__owner=user).delete()
