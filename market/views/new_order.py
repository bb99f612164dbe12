"""A new order: the ticket, its review, and the one click that places it."""

from concurrent.futures import Future
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from accounts.errors import AccountsError
from accounts.models import ApiKey
from accounts.views.keys import person
from market import order_checks
from market.background import Full, background
from market.bitfinex.errors import ExchangeError
from market.bitfinex.orders import OrderInvalid
from market.display import age as age_words
from market.display import percent
from market.forms import ConfirmForm, TicketForm, ticket_fields
from market.intents import MICROS, PREVIEW_LIFE, read_order
from market.listing import listing
from market.models import OrderIntent, OrderState
from market.newest import newest_quotes
from market.order_errors import OrderNotTried, OrderRefused, PreviewGone
from market.orders import confirm_order, preview_order
from market.rates import Prices
from market.views.budget import badge
from market.views.order_shown import IntentShown, number
from market.views.own import armed_keys, in_doubt, own_intent, readable_keys
from market.views.price_seen import PriceSeen, price_seen
from market.views.refusals import Refusal, refusal

form_view = require_http_methods(["GET", "HEAD", "POST"])
ANSWER_SECONDS = 2.5  # after that the order's own page goes on
RECORD_SECONDS = 8.0  # for the database to take it
LOOK_SECONDS = 0.2
NOT_TAKEN = (OrderNotTried, OrderInvalid, AccountsError, ExchangeError)
REFUSED_FIELDS = {"symbol": "symbol", "price_band": "price", "largest_order": "amount"}
STARTING = ("symbol", "side", "order_type", "amount", "price")
FROM = "from"  # an earlier order to start from
TAKEN_SLOWLY = "This takes long. If the order is not under Orders in a moment, it was not placed."


@form_view
def new_order(request: HttpRequest) -> HttpResponse:
    """The ticket; a valid one leads to its review."""
    keys = armed_keys(person(request))
    form = _ticket(request, keys)
    refused: Refusal | None = None
    if request.method == "POST" and form.is_valid():
        made = _preview(request, form)
        if isinstance(made, OrderIntent):
            return redirect("market:review", made.pk)
        refused = made
    context = {"form": form, "refused": refused, "keys": keys, **_around(request, form)}
    return render(request, "market/ticket.html", context)


def _ticket(request: HttpRequest, keys: list[ApiKey]) -> TicketForm:
    if request.method == "POST":
        return TicketForm(request.POST, keys=keys)
    start = {name: request.GET[name] for name in STARTING if name in request.GET}
    start.setdefault("symbol", "tBTCUSD")
    wanted = request.GET.get("key", "")
    earlier = _earlier(request)
    if earlier is not None:
        start, wanted = ticket_fields(read_order(earlier)), str(earlier.key_id)
    if any(str(key.pk) == wanted for key in keys):
        start["key"] = wanted
    return TicketForm(initial=start, keys=keys)


def _earlier(request: HttpRequest) -> OrderIntent | None:
    try:
        pk = UUID(request.GET.get(FROM, ""))
    except ValueError:
        return None
    return OrderIntent.objects.filter(owner=person(request), pk=pk).first()


def _preview(request: HttpRequest, form: TicketForm) -> OrderIntent | Refusal:
    order = form.order
    seen = price_seen(order.symbol, timezone.now().timestamp())
    try:
        return preview_order(
            user=person(request),
            key=form.chosen_key,
            order=order,
            prices=_live(seen, order.symbol),
            price_seen=seen.last,
        )
    except NOT_TAKEN as error:
        refused = refusal(error)
        field = REFUSED_FIELDS.get(error.reason) if isinstance(error, OrderRefused) else None
        if field is None:
            return refused
        form.add_error(field, refused.text)
        return Refusal("Not reviewed yet: see below.")


def _live(seen: PriceSeen, symbol: str) -> Prices | None:
    """None where there is no live price: then the saved or asked ones count."""
    return seen.all if symbol in seen.all else None


def _around(request: HttpRequest, form: TicketForm) -> dict[str, Any]:
    """What stands beside the ticket."""
    user = person(request)
    symbol = str(form["symbol"].value() or "")
    now = timezone.now()
    seen = price_seen(symbol, now.timestamp())
    return {
        "symbol": symbol,
        "price": seen.price,
        "price_age": None if seen.age is None else age_words(int(seen.age)),
        "listing": listing(symbol) if symbol.startswith("t") else None,
        "symbols": sorted(q.symbol for q in newest_quotes() if q.symbol.startswith("t")),
        "in_doubt": [IntentShown(each) for each in in_doubt(user, symbol)],
        "unarmed": [key for key in readable_keys(user) if not key.is_armed(now)],
        "budget_badge": badge(),
    }


@form_view
def review(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The exact order, and the button that places it. Posted twice it is placed once."""
    intent = own_intent(request, pk)
    if intent.state != OrderState.PREVIEW:
        return redirect("market:order", pk)
    if timezone.now() > intent.created_at + PREVIEW_LIFE:
        return _moved_on(request, intent)
    page = _review(intent)
    posted = request.POST if request.method == "POST" else None
    form = ConfirmForm(posted, amount=page["order"].amount, concerns=page["concerns"])
    refused: Refusal | None = None
    if form.is_valid():
        answer = _place(request, intent, page["seen"])
        if isinstance(answer, HttpResponse):
            return answer
        refused = answer
    return render(request, "market/review.html", {**page, "form": form, "refused": refused})


def _moved_on(request: HttpRequest, intent: OrderIntent) -> HttpResponse:
    """Back to the ticket, with everything kept."""
    messages.warning(
        request, "The review was older than a minute and prices have moved on. Review it anew."
    )
    return HttpResponseRedirect(again_url(intent))


def again_url(intent: OrderIntent) -> str:
    return f"{reverse('market:new_order')}?{urlencode({FROM: str(intent.pk)})}"


def _review(intent: OrderIntent) -> dict[str, Any]:
    order = read_order(intent)
    shown = IntentShown(intent)
    seen = price_seen(order.symbol, timezone.now().timestamp())
    value = intent.value_micros / MICROS
    found = order_checks.review(order, value, seen.all, seen.age)
    total = None if order.price is None else order.amount * order.price
    item = listing(order.symbol)
    until = intent.created_at + PREVIEW_LIFE
    return {
        "intent": intent,
        "shown": shown,
        "order": order,
        "listing": item,
        "seen": seen,
        "last": number(seen.last),
        "price_age": None if seen.age is None else age_words(int(seen.age)),
        "distance": distance(found.deviation),
        "concerns": found.concerns,
        "total": None if total is None else f"{number(total)} {item.quote}",
        "seconds_left": max(0, int((until - timezone.now()).total_seconds())),
        "in_doubt": [IntentShown(each) for each in in_doubt(intent.owner, order.symbol)],
        "again_url": again_url(intent),
        "budget_badge": badge(),
    }


def distance(deviation: Decimal | None) -> str:
    """How far a limit lies from the last price, in words."""
    if deviation is None:
        return ""
    word = "worse" if deviation > 0 else "better"
    return f"{percent(float(abs(deviation))).lstrip('+')} {word}"


def _place(request: HttpRequest, intent: OrderIntent, seen: PriceSeen) -> HttpResponse | Refusal:
    """Sends it in the background, waits a moment for the outcome, and leads to its page."""
    own = OrderIntent.objects.select_related("key", "owner").get(pk=intent.pk)
    work = partial(
        confirm_order, user=person(request), intent=own, prices=_live(seen, intent.symbol)
    )
    try:
        done = background().run(str(intent.pk), work)
        _wait(done, intent)
    except PreviewGone:
        return _moved_on(request, intent)
    except (*NOT_TAKEN, Full) as error:
        return refusal(error)
    intent.refresh_from_db()
    if intent.state == OrderState.PREVIEW:
        messages.warning(request, TAKEN_SLOWLY)
    return redirect("market:order", intent.pk)


def _wait(done: "Future[OrderIntent]", intent: OrderIntent) -> None:
    """For the outcome; and longer as long as it is not even recorded. Raises what the use case
    raised."""
    try:
        done.result(ANSWER_SECONDS)
    except TimeoutError:
        pass
    else:
        return
    waited = ANSWER_SECONDS
    while waited < RECORD_SECONDS and not done.done():
        intent.refresh_from_db()
        if intent.state != OrderState.PREVIEW:
            return
        waited += LOOK_SECONDS
        try:
            done.result(LOOK_SECONDS)
        except TimeoutError:
            continue
