"""Which feed process serves a range of symbols: one holds the lease, the others stand by.

The holder repeats `hold` well within the time it asked for, and stops serving when that fails.
"""

from collections.abc import Callable

from django.db.models import Q

from market import clock
from market.models import FeedLease

LONGEST = 300.0
"""Seconds a lease may lie ahead; one that ends later comes from a clock that was set back."""


def hold(range_: int, holder: str, ttl: float, *, now_us: Callable[[], int] = clock.now_us) -> bool:
    """Take the lease of this range, or keep it, for `ttl` seconds. False while another holds it."""
    if not 0 < ttl <= LONGEST:
        raise ValueError(f"ttl: {ttl}")
    now = now_us()
    expires = now + round(ttl * 1_000_000)
    free = Q(expires_us__lte=now) | Q(expires_us__gt=now + round(LONGEST * 1_000_000))
    row = FeedLease.objects.filter(range=range_)
    if row.filter(free | Q(holder=holder)).update(holder=holder, expires_us=expires):
        return True
    lease = FeedLease(range=range_, holder=holder, expires_us=expires)
    FeedLease.objects.bulk_create([lease], ignore_conflicts=True)
    return row.filter(holder=holder, expires_us__gt=now).exists()


def release(range_: int, holder: str) -> None:
    """Give the range back at once. Another's lease stays as it is."""
    FeedLease.objects.filter(range=range_, holder=holder).update(expires_us=0)
