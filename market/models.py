"""What the processes of one installation must agree on about the exchange.

All state that guards a limit of the exchange lives here, shared by every process behind the same
egress address, and is taken before the act.
"""

from django.db import models


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
    rows = models.JSONField(default=dict)
    saved_at = models.DateTimeField(auto_now=True)
