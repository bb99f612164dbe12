"""What belongs to the person who asks, or 404 as if it did not exist."""

from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone

from accounts.models import ApiKey, User
from accounts.views.keys import person
from market.intents import IN_DOUBT
from market.models import OrderIntent, OrderState


def own_intent(request: HttpRequest, pk: UUID) -> OrderIntent:
    """An order of the person who asks; staff see no more here."""
    own = OrderIntent.objects.filter(owner=person(request)).select_related("key", "owner")
    return get_object_or_404(own, pk=pk)


def own_intents(user: User) -> QuerySet[OrderIntent]:
    """Every order that was confirmed, at the exchange that is talked to now."""
    own = OrderIntent.objects.filter(owner=user, key__exchange=settings.BFX_EXCHANGE)
    return own.exclude(state=OrderState.PREVIEW)


def readable_keys(user: User) -> list[ApiKey]:
    """Keys that this person's orders and wallets can be read with; those that may also write come
    first, since an order that several keys show is changed with the first of them."""
    own = ApiKey.objects.of(user).usable().order_by("label", "added_at")
    readable = [key for key in own if key.permissions.allows("orders", "read")]
    return sorted(readable, key=lambda key: not may_write(key))


def may_write(key: ApiKey) -> bool:
    return key.permissions.allows("orders", "write")


def armed_keys(user: User) -> list[ApiKey]:
    """Keys that may place orders now."""
    now = timezone.now()
    own = ApiKey.objects.of(user).usable().filter(halt=0, armed_until__gt=now)
    return [key for key in own.order_by("label", "added_at") if may_write(key)]


def in_doubt(user: User, symbol: str) -> list[OrderIntent]:
    """Orders of this pair that may be at the exchange without anybody here knowing."""
    states = (*IN_DOUBT, OrderState.INTENT)
    return list(own_intents(user).filter(symbol=symbol, state__in=states))
