"""What the processes of one installation must agree on about the exchange.

All state that guards a limit of the exchange lives here, shared by every process behind the same
egress address, and is taken before the act.
"""

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models

from accounts.models import ApiKey


class RateWindow(models.Model):
    """The last send times of one endpoint, as seen from one egress address.

    `ring` holds `[µs since epoch, user id or null]`, oldest first; `asked` holds the same pairs for
    whoever was turned away, and until when a share is kept for him (see `market.limits`).
    """

    scope = models.CharField(max_length=120, primary_key=True)  # "egress|endpoint"
    ring = models.JSONField(default=list)
    asked = models.JSONField(default=list)


class IpBlock(models.Model):
    """Until when the exchange refuses everything from one egress address."""

    egress = models.CharField(max_length=60, primary_key=True)
    until_us = models.BigIntegerField(default=0)


class ConnectBudget(models.Model):
    """The last WebSocket connection attempts from one egress address, in µs, oldest first."""

    scope = models.CharField(max_length=80, primary_key=True)  # "egress|public"
    ring = models.JSONField(default=list)


class FeedLease(models.Model):
    """Which feed process serves a range of symbols; it is free again once expired."""

    range = models.PositiveSmallIntegerField(primary_key=True)
    holder = models.CharField(max_length=80)
    expires_us = models.BigIntegerField()


class SavedQuotes(models.Model):
    """The newest table of quotes, for a start without the exchange.

    `rows` maps symbol → the quote's JSON array (see `market.quotes.Quote`).
    """

    range = models.PositiveSmallIntegerField(primary_key=True)
    exchange = models.CharField(max_length=10, default="")  # BFX_EXCHANGE then
    rows = models.JSONField(default=dict)
    saved_at = models.DateTimeField(auto_now=True)


class ExchangeInfo(models.Model):
    """Something the exchange said that many processes need (see `market.exchange_info`)."""

    name = models.CharField(max_length=60, primary_key=True)
    value = models.JSONField()
    read_at = models.DateTimeField()


class OrderState(models.TextChoices):
    """What is known of an order that was asked for; each change is a compare-and-swap (`intents`).

    What became of an accepted order later (open, filled, cancelled) is the exchange's to say.
    """

    PREVIEW = "preview"  # shown for review; may still be confirmed
    INTENT = "intent"  # confirmed and recorded; not a byte has left
    SENDING = "sending"  # a byte may have left
    UNKNOWN = "unknown"  # the reply is lost: the resolver asks the exchange
    ACCEPTED = "accepted"
    REJECTED = "rejected"  # the exchange said no
    NOT_PLACED = "not_placed"  # proven: the exchange does not have it, and will not
    KEY_GONE = "unknown_key_gone"  # nobody can ask with this key any more


class OrderIntent(models.Model):
    """One order as its owner confirmed it, recorded before a byte of it leaves.

    `order_text` is the exact order (`intents.read_order`). `value_micros` is what it counts
    against the policy of its key, in millionths of a USD.
    """

    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16, choices=OrderState)
    symbol = models.CharField(max_length=24)
    order_text = models.TextField()
    value_micros = models.BigIntegerField()
    price_seen = models.CharField(max_length=40, blank=True)  # plain decimal, as the page showed it

    cid = models.BigIntegerField(null=True)  # the client order id
    nonce = models.BigIntegerField(null=True)  # of the latest attempt
    order_id = models.BigIntegerField(null=True)
    status = models.CharField(max_length=300, blank=True)  # the exchange's, when it accepted
    reason = models.CharField(max_length=300, blank=True)  # why it is not there, or not known

    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    check_at = models.DateTimeField(null=True)  # when the resolver looks at it next
    missed_at = models.DateTimeField(null=True)  # when it was first looked for in vain
    looks = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            # Of all keys: several may belong to one account, and orders are found by it there.
            models.UniqueConstraint(fields=["cid"], name="one_order_a_cid")
        ]
        indexes: ClassVar = [
            models.Index(fields=["owner", "-created_at"], name="own_orders"),
            models.Index(fields=["key", "confirmed_at"], name="orders_of_a_key"),
            models.Index(
                fields=["check_at"],
                name="orders_to_settle",
                condition=models.Q(check_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.state}"

    @property
    def is_settled(self) -> bool:
        """Whether its state is final."""
        return self.settled_at is not None

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may be at the exchange without anybody here knowing."""
        return self.state in (OrderState.SENDING, OrderState.UNKNOWN)


class OrderTally(models.Model):
    """What the orders of a key come to on one UTC day, in millionths of a USD.

    The row is locked while an order is recorded, so that parallel ones cannot pass the policy.
    """

    key = models.OneToOneField(ApiKey, on_delete=models.CASCADE, primary_key=True, related_name="+")
    day = models.DateField()
    micros = models.BigIntegerField(default=0)
