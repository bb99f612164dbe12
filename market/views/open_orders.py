"""Orders that are open, as the exchange has them: seen, changed, cancelled."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import own_key
from accounts.errors import AccountsError
from accounts.models import ApiKey, User
from accounts.views.keys import person
from market import account, order_checks
from market.bitfinex.account import Order
from market.bitfinex.errors import ExchangeError
from market.bitfinex.orders import NewOrder, OrderInvalid, as_new_order
from market.display import age as age_words
from market.forms import CancelAllForm, ChangeForm, ConfirmForm, plain
from market.listing import listing
from market.order_errors import OrderNotTried
from market.orders import Cancellation, cancel_all, cancel_order, cancel_orders, update_order
from market.views.budget import badge
from market.views.order_shown import IntentShown, OpenOrder, moment, number
from market.views.own import may_write, own_intents, readable_keys
from market.views.price_seen import PriceSeen, price_seen
from market.views.refusals import Refusal, refusal

form_view = require_http_methods(["GET", "HEAD", "POST"])
RECENT = 15
AWAY = (AccountsError, ExchangeError)
NOT_TAKEN = (*AWAY, OrderNotTried, OrderInvalid)
NEW_VALUES = {
    "amount": "Amount left",
    "price": "Price",
    "price_trailing": "Trailing distance",
    "price_aux_limit": "Limit after the stop",
    "tif": "Good until",
}


@dataclass
class OfKey:
    """The open orders that one key shows, or why it shows none."""

    key: ApiKey
    orders: list[OpenOrder] = field(default_factory=list)
    problem: Refusal | None = None


@require_safe
def orders(request: HttpRequest) -> HttpResponse:
    user = person(request)
    keys = readable_keys(user)
    wanted = request.GET.get("key", "")
    chosen = [key for key in keys if str(key.pk) == wanted] or keys
    recent = own_recent(user)
    sections = open_orders(user, chosen)
    context = {
        "keys": keys,
        "wanted": wanted,
        "sections": sections,
        "listed": {row.order.id for section in sections for row in section.orders},
        "in_doubt": [each for each in recent if each.is_in_doubt],
        "recent": [each for each in recent if not each.is_in_doubt][:RECENT],
        "marks": marks(user),
        "budget_badge": badge(),
    }
    return render(request, "market/orders.html", context)


@require_safe
def order_states(request: HttpRequest) -> JsonResponse:
    """For the open page of orders: changes when it should look again."""
    return JsonResponse({"marks": marks(person(request))})


def marks(user: User) -> str:
    """Differs whenever the newest orders that were asked for here, or any that is not settled, or
    their states, differ."""
    own = own_intents(user)
    waiting = own.filter(settled_at=None).values_list("pk", "state")
    newest = own.values_list("pk", "state")[:RECENT]
    return " ".join(f"{str(pk)[:8]}:{state}" for pk, state in (*waiting, *newest))


def own_recent(user: User) -> list[IntentShown]:
    """All that are not settled, and the newest others."""
    own = own_intents(user).select_related("key")
    unsettled = own.filter(settled_at=None)
    return [IntentShown(each) for each in (*unsettled, *own.exclude(settled_at=None)[:RECENT])]


def open_orders(user: User, keys: Iterable[ApiKey]) -> list[OfKey]:
    """Each order once, though several keys of an account show it."""
    sections, seen = [], set[int]()
    for key in keys:
        section = OfKey(key)
        try:
            found = account.open_orders(user=user, key=key)
            section.orders = [OpenOrder(each, key, None) for each in found if each.id not in seen]
            seen.update(each.id for each in found)
        except AWAY as error:
            section.problem = refusal(error)
        sections.append(section)
    here = {intent.order_id: intent for intent in own_intents(user).filter(order_id__in=seen)}
    for section in sections:
        section.orders = [
            OpenOrder(each.order, section.key, here.get(each.order.id)) for each in section.orders
        ]
    return sections


@require_POST
def cancel(request: HttpRequest) -> HttpResponse:
    """One order (`one`) or those that are ticked (`order`), each as `key:order id`."""
    one = request.POST.get("one")
    named = [one] if one else request.POST.getlist("order")
    wanted: dict[UUID, list[int]] = defaultdict(list)
    for text in named:
        key, _, order = text.partition(":")
        try:
            wanted[UUID(key)].append(int(order))
        except ValueError:
            continue
    if not wanted:
        messages.warning(request, "Nothing was chosen, so nothing was cancelled.")
    for pk, ids in wanted.items():
        _cancel(request, own_key(request, pk), ids)
    return HttpResponseRedirect(reverse("market:orders"))


def _cancel(request: HttpRequest, key: ApiKey, ids: list[int]) -> None:
    user = person(request)
    try:
        if len(ids) == 1:
            done = cancel_order(user=user, key=key, order_id=ids[0])
        else:
            done = cancel_orders(user=user, key=key, ids=ids)
    except NOT_TAKEN as error:
        messages.error(request, f"Not cancelled: {refusal(error).text}")
        return
    say(request, done)


def say(request: HttpRequest, done: Cancellation) -> None:
    """What became of a cancel."""
    match done.state:
        case "requested":
            count = len(done.orders)
            what = "No open order" if not count else "1 order" if count == 1 else f"{count} orders"
            messages.success(request, f"Bitfinex has taken the cancel: {what}.")
        case "gone":
            messages.info(request, f"Nothing to cancel, it is not open any more. {done.reason}")
        case "refused":
            messages.error(request, f"Not cancelled. {done.reason}")
        case "unknown":
            messages.warning(request, f"The cancel may have reached Bitfinex. {done.reason}")


@form_view
def cancel_everything(request: HttpRequest) -> HttpResponse:
    """Every open order of the accounts behind one's keys; asks to type it."""
    user = person(request)
    keys = [key for key in readable_keys(user) if may_write(key)]
    form = CancelAllForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        for key in keys:
            try:
                say(request, cancel_all(user=user, key=key))
            except NOT_TAKEN as error:
                messages.error(request, f"Not cancelled with {key}: {refusal(error).text}")
        return redirect("market:orders")
    return render(request, "market/cancel_all.html", {"form": form, "keys": keys})


@form_view
def edit(request: HttpRequest, pk: UUID, order_id: int) -> HttpResponse:
    """New values, then old beside new, then the change. The second post carries the values that
    were shown, and the order as it was then: if it has moved since, it is shown again."""
    key, user = own_key(request, pk), person(request)
    try:
        found = account.open_orders(user=user, key=key)
        order = next((each for each in found if each.id == order_id), None)
        before = None if order is None else as_new_order(order)
    except NOT_TAKEN as error:
        return render(request, "market/edit.html", {"refused": refusal(error)})
    if order is None or before is None:
        messages.info(request, "This order is not open any more.")
        return redirect("market:orders")
    return _edit(request, key, order, before)


def _edit(request: HttpRequest, key: ApiKey, order: Order, before: NewOrder) -> HttpResponse:
    posted = request.POST if request.method == "POST" else None
    form = ChangeForm(posted, order=before, initial=shown_values(before))
    price = price_seen(order.symbol, timezone.now().timestamp())
    context = {
        "form": form,
        "key": key,
        "order": OpenOrder(order, key, None),
        "listing": listing(order.symbol),
        "last": number(price.last),
    }
    if form.is_valid():
        answer = _review_change(request, key, order, form, price)
        if isinstance(answer, HttpResponse):
            return answer
        context |= answer
    return render(request, "market/edit.html", context)


def shown_values(order: NewOrder) -> dict[str, Any]:
    """What the form of a change starts with."""
    values = {name: getattr(order, name) for name in NEW_VALUES}
    return {n: plain(v) if isinstance(v, Decimal) else v for n, v in values.items()}


def _review_change(
    request: HttpRequest, key: ApiKey, order: Order, form: ChangeForm, price: PriceSeen
) -> HttpResponse | dict[str, Any]:
    """Makes the change that was shown; else what has to be shown first."""
    try:
        after = replace(form.order, **form.changes)
    except OrderInvalid as error:
        return {"refused": refusal(error)}
    concerns = order_checks.review(after, Decimal(0), price.all, price.age).concerns
    seen = str(order.mts_update)
    was_shown = request.POST.get("seen") == seen
    sure = ConfirmForm(request.POST if was_shown else None, amount=after.amount, concerns=concerns)
    context = {
        "seen": seen,
        "moved": "seen" in request.POST and not was_shown,
        "rows": compare(form.order, form),
        "sure": sure,
        "concerns": concerns,
        "price_age": None if price.age is None else age_words(int(price.age)),
    }
    if sure.is_valid():
        answer = _change(request, key, order, form.changes)
        if isinstance(answer, HttpResponse):
            return answer
        context["refused"] = answer
    return context


def compare(before: NewOrder, form: ChangeForm) -> list[tuple[str, str, str]]:
    """Name, old and new value of what changes."""
    rows = []
    for name, new in form.changes.items():
        old = getattr(before, name)
        show = moment if name == "tif" else number
        rows.append((NEW_VALUES[name], show(old), show(new)))
    return rows


def _change(
    request: HttpRequest, key: ApiKey, order: Order, changes: dict[str, Any]
) -> HttpResponse | Refusal:
    seen = price_seen(order.symbol, timezone.now().timestamp())
    prices = seen.all if order.symbol in seen.all else None
    try:
        done = update_order(
            user=person(request), key=key, order_id=order.id, prices=prices, **changes
        )
    except NOT_TAKEN as error:
        return refusal(error)
    match done.state:
        case "changed":
            messages.success(request, "The order is changed.")
        case "gone":
            messages.warning(request, f"Not changed. {done.reason}")
        case "unknown":
            text = f"Nobody can say yet whether it is changed. {done.reason} Look at it below."
            messages.warning(request, text)
        case _:
            return Refusal(f"Not changed. {done.reason}")
    return redirect("market:orders")
