"""The page of one order that was asked for here: what is known of it, kept true while it is
open."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from market.models import OrderIntent, OrderState
from market.views.budget import badge
from market.views.new_order import again_url
from market.views.order_shown import IntentShown, moment
from market.views.own import own_intent

LOOK_AGAIN_SECONDS = 3  # for browsers without a script


@require_safe
def order(request: HttpRequest, pk: UUID) -> HttpResponse:
    intent = own_intent(request, pk)
    if intent.state == OrderState.PREVIEW:
        return redirect("market:review", pk)
    context = {
        "shown": IntentShown(intent),
        "facts": facts(intent),
        "again_url": again_url(intent),
        "look_again": LOOK_AGAIN_SECONDS,
        "budget_badge": badge(),
        "now_ms": int(timezone.now().timestamp() * 1000),
    }
    return render(request, "market/order.html", context)


@require_safe
def order_state(request: HttpRequest, pk: UUID) -> JsonResponse:
    """For the open page of an order: what it shows, anew."""
    return JsonResponse(facts(own_intent(request, pk)))


def facts(intent: OrderIntent) -> dict[str, Any]:
    shown = IntentShown(intent)
    outcome = shown.outcome
    return {
        "state": intent.state,
        "tone": outcome.tone,
        "title": outcome.title,
        "text": outcome.text,
        "advice": outcome.advice,
        "settled": intent.is_settled,
        "began": shown.began_ms,
        "order_id": intent.order_id,
        "settled_at": moment(intent.settled_at),
    }
