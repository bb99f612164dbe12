"""What people do with orders: place, change, cancel.

An order is recorded before it is signed, leaves at most once, and its outcome is never guessed:
a refusal with a code, an acceptance with our client id and a request that never left are certain;
anything else is settled by `market.resolver`, never by sending again. Only a refused nonce
(10114), which proves that nothing was executed, is signed anew (`market.client`). Cancels and
changes are safe to repeat: they name the order and its new values, not a difference.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypeVar

import structlog
from django.db import Error as DatabaseError
from django.db import transaction

from accounts import audit, keys, signer
from accounts.audit import Tag
from accounts.errors import AccountsError, KeyBusy, NotAllowed
from accounts.models import Act, ApiKey, User
from market import intents, order_checks, resolver
from market.bitfinex import account
from market.bitfinex import orders as wire
from market.bitfinex.account import Order
from market.bitfinex.errors import (
    AuthRefused,
    ExchangeError,
    LimiterClosed,
    NonceRefused,
    NotExecuted,
    OutcomeUnknown,
    Rejected,
)
from market.bitfinex.orders import Flag, NewOrder
from market.bitfinex.rest import Request
from market.client import client
from market.limits import Lane
from market.models import OrderIntent, OrderState
from market.order_errors import IntentTaken
from market.order_words import CHECKING, why
from market.prices import known_prices
from market.rates import Prices

T = TypeVar("T")
log = structlog.get_logger(__name__)

PLACE_PATIENCE = 10  # seconds to wait for a slot of the budget
CANCEL_PATIENCE = 5
LOOK_PATIENCE = 8
FOLLOW_SECONDS = 20  # how long a caller waits for an order whose reply was lost
REPEATS_MS = (500, 2000)  # pauses before a cancel is sent again
Side = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What became of a cancel. `requested`: the exchange has taken it, and ends the orders a
    moment later; `gone`: there was nothing open by that name; `refused`, `unknown`: see `reason`.
    """

    state: Literal["requested", "gone", "refused", "unknown"]
    orders: Sequence[Order] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a change. `order` is the order as far as it is known then."""

    state: Literal["changed", "unchanged", "gone", "refused", "unknown"]
    order: Order | None = None
    reason: str = ""


NOT_OPEN = Change("gone", reason="This order is not open any more.")
LOOK = Change("unknown", reason="Bitfinex did not answer. Look at your open orders in a moment.")


def place_order(  # noqa: PLR0913  the one door for scripts (docs/scripts.md)
    *,
    user: User,
    key: ApiKey,
    symbol: str,
    side: Side,
    order_type: str,
    amount: Decimal,
    price: Decimal | None = None,
    price_seen: Decimal | None = None,
    follow: float = FOLLOW_SECONDS,
    **options: Any,
) -> OrderIntent:
    """Places an order at once, without a review; the policy of the key holds all the same.

    Amounts and prices are exact decimals in the pair's units; `amount` is positive. `options` are
    the other fields of `market.bitfinex.orders.NewOrder`, flags also as a number. Waits up to
    `follow` seconds for an order whose reply was lost; the resolver of a running server goes on
    with it after that, as every later call of a script with the same key does.

    Returns the intent; its `state` says what is known, `reason` why. Raises `OrderInvalid`,
    `OrderRefused` (the policy), a `KeyUnusable`, `NotAllowed`, or an `ExchangeError` when the
    market price cannot be had; then nothing was recorded or sent.
    """
    if type(options.get("flags")) is int:
        options["flags"] = Flag(options["flags"])
    order = NewOrder(symbol, side, order_type, amount, price, **options)
    row = _usable(user, key, "place")
    value = order_checks.check(order, row.policy, known_prices(symbol))
    wait = timedelta(seconds=PLACE_PATIENCE)
    intent = intents.record(
        user=user, key=row, order=order, value=value, price_seen=price_seen, wait=wait
    )
    _send(intent, order, row)
    _look_around(intent, follow)
    return intent


def preview_order(
    *,
    user: User,
    key: ApiKey,
    order: NewOrder,
    prices: Prices | None = None,
    price_seen: Decimal | None = None,
) -> OrderIntent:
    """The exact order for its owner to confirm within a minute. `prices` are the live ones where
    the caller has them. Raises as `place_order` does; nothing is sent."""
    row = _usable(user, key, "place")
    value = order_checks.check(order, row.policy, prices or known_prices(order.symbol))
    return intents.preview(user=user, key=row, order=order, value=value, price_seen=price_seen)


def confirm_order(*, user: User, intent: OrderIntent, prices: Prices | None = None) -> OrderIntent:
    """Sends a previewed order. Confirmed twice it is sent once: the second call changes nothing.
    Does not wait for a lost reply: the resolver of the server does.

    Raises `PreviewGone`, and as `preview_order` does when key, policy or prices have changed.
    """
    if intent.owner_id != user.pk:
        raise NotAllowed("not the owner")
    if intent.state != OrderState.PREVIEW:
        return intent
    row = _usable(user, intent.key, "place")
    order = intents.read_order(intent)
    value = order_checks.check(order, row.policy, prices or known_prices(order.symbol))
    wait = timedelta(seconds=PLACE_PATIENCE)
    if intents.confirm(intent, policy=row.policy, value=value, wait=wait):
        _send(intent, order, row)
    return intent


def update_order(
    *,
    user: User,
    key: ApiKey,
    order_id: int,
    prices: Prices | None = None,
    **changes: Any,
) -> Change:
    """Changes an open order in place. `changes`: `amount` (what shall remain, positive), `price`,
    `price_trailing`, `price_aux_limit`, `flags`, `tif`, `leverage`; what is left out stays.

    The changed order is held to the policy of its key as a new one is; only what it adds counts
    for the day. Raises as `place_order` does.
    """
    row = _usable(user, key, "place")
    order = _find_open(row, order_id, "read")
    if order is None:
        return NOT_OPEN
    before = wire.as_new_order(order)
    after = replace(before, **changes)
    known = prices or known_prices(order.symbol)
    added = order_checks.check(after, row.policy, known) - order_checks.value_of(before, known)
    _note_change(user, row, order, after, added)
    if "amount" in changes:
        changes["amount"] = after.signed_amount
    done = _update(row, wire.update(order_id, **changes))
    if done.state == "unknown":
        done = _changed_or_not(row, order, wire.cut_order(after), set(changes))
    if done.state in ("refused", "unchanged", "gone"):
        _note(order_id, partial(intents.give_back, row, added))
    return done


def cancel_order(*, user: User, key: ApiKey, order_id: int) -> Cancellation:
    """Cancels one open order. Raises a `KeyUnusable` or `NotAllowed`; then nothing was sent."""
    return _cancel(user, key, wire.cancel(order_id), _one, order=order_id)


def cancel_by_cid(*, user: User, key: ApiKey, cid: int, day: date) -> Cancellation:
    """The same, by client id and the UTC day on which it was placed."""
    return _cancel(user, key, wire.cancel_by_cid(cid, day), _one, cid=cid)


def cancel_orders(*, user: User, key: ApiKey, ids: Sequence[int]) -> Cancellation:
    """Cancels several."""
    return _cancel(user, key, wire.cancel_many(ids=ids), list, orders=list(ids))


def cancel_all(*, user: User, key: ApiKey) -> Cancellation:
    """Cancels every open order of the account behind the key, derivatives too, whoever placed
    it."""
    return _cancel(user, key, wire.cancel_all(), list, all=True)


def _usable(user: User, key: ApiKey, act: Act) -> ApiKey:
    """The key as it is now. Raises `NotAllowed` unless it is the user's, or a `KeyUnusable`."""
    if key.owner_id != user.pk:
        raise NotAllowed("not the owner")
    row = signer.ready(key, act)
    row.require("orders", "write")
    return row


def _send(intent: OrderIntent, order: NewOrder, key: ApiKey) -> None:
    """One order on its way, and what is known of it afterwards. It does not raise: from here on
    the record says what happened."""
    try:
        found = client().call(
            wire.submit(order, intent.cid or 0),
            key,
            lane="place",
            deadline=PLACE_PATIENCE,
            before_send=partial(_begin, intent),
        )
    except IntentTaken:
        _note(intent.cid, intent.refresh_from_db)
    except (ExchangeError, AccountsError) as error:
        _note(intent.cid, partial(_note_failure, intent, error))
        if isinstance(error, AuthRefused):
            _ask_about(key)
    else:
        mine = next(row for row in found if row.cid == intent.cid)
        _note(intent.cid, partial(intents.accept, intent, mine))


def _look_around(intent: OrderIntent, follow: float) -> None:
    """For scripts, which may run without a server: their own orders in doubt, this one first."""
    if not intent.is_settled:
        _note(intent.cid, partial(resolver.follow, intent, follow))
    else:
        _note(intent.cid, partial(resolver.settle_due, intent.key))


def _begin(intent: OrderIntent, nonce: int) -> None:
    try:
        intents.begin(intent, nonce)
    except DatabaseError as error:
        raise LimiterClosed(type(error).__name__) from None


def _note_failure(intent: OrderIntent, error: Exception) -> None:
    if isinstance(error, OutcomeUnknown):
        log.warning("outcome of an order unknown", cid=intent.cid, problem=str(error))
        intents.doubt(intent, CHECKING)
    elif isinstance(error, Rejected) and not isinstance(error, NonceRefused):
        intents.reject(intent, why(error))
    else:
        intents.give_up(intent, why(error), nonce=intent.nonce)


def _note(number: int | None, write: Callable[[], object]) -> None:
    """What cannot be written now is found out by the resolver later: the order itself is done."""
    try:
        write()
    except DatabaseError as error:
        log.error("outcome of an order not noted", order=number, problem=type(error).__name__)


def _ask_about(key: ApiKey) -> None:
    """The exchange does not accept the key: asked once more, and then marked."""
    try:
        keys.check_key(key=key)
    except (AccountsError, DatabaseError) as error:
        log.warning("key not checked", key=str(key.uuid), problem=str(error))


def _one(order: Order) -> list[Order]:
    return [order]


def _cancel(
    user: User,
    key: ApiKey,
    request: Request[T],
    listed: Callable[[T], list[Order]],
    **named: object,
) -> Cancellation:
    row = _usable(user, key, "cancel")
    with transaction.atomic():
        audit.record(Tag.ORDER_CANCELLED, actor=user, about=row, data=named)
    for pause_ms in (*REPEATS_MS, None):
        try:
            found = client().call(request, row, lane="cancel", deadline=CANCEL_PATIENCE)
            return Cancellation("requested", listed(found))
        except Rejected as error:
            return Cancellation("gone" if is_gone(error) else "refused", reason=why(error))
        except (NotExecuted, KeyBusy) as error:
            return Cancellation("refused", reason=why(error))
        except OutcomeUnknown as error:
            log.warning("reply to a cancel lost", key=str(row.uuid), problem=str(error))
            if pause_ms is not None:
                time.sleep(pause_ms / 1000)
    return Cancellation("unknown", reason=LOOK.reason)


@transaction.atomic(durable=True)
def _note_change(user: User, key: ApiKey, order: Order, after: NewOrder, added: Decimal) -> None:
    intents.reserve_more(key, added)
    data = {"order": order.id, "after": intents.order_text(after)}
    audit.record(Tag.ORDER_CHANGED, actor=user, about=key, data=data)


def _update(key: ApiKey, request: Request[Order]) -> Change:
    try:
        sent = client().call(request, key, lane="place", deadline=PLACE_PATIENCE)
    except Rejected as error:
        return NOT_OPEN if is_gone(error) else Change("refused", reason=why(error))
    except (NotExecuted, KeyBusy) as error:
        return Change("refused", reason=why(error))
    except OutcomeUnknown as error:
        log.warning("reply to a change lost", key=str(key.uuid), problem=str(error))
        return LOOK
    return Change("changed", sent)


def _changed_or_not(key: ApiKey, before: Order, after: NewOrder, changed: set[str]) -> Change:
    """Asks for the order itself. The question's nonce is the higher one, so a change that has not
    been made by then is not made later; it may only not be visible yet. What was traded meanwhile
    hides whether the amount was changed."""
    order = before
    for pause_ms in (0, *REPEATS_MS):
        time.sleep(pause_ms / 1000)
        try:
            found = _find_open(key, before.id, "look_up")
        except (ExchangeError, AccountsError) as error:
            return Change("unknown", reason=why(error))
        if found is None:
            return NOT_OPEN
        order, now = found, wire.as_new_order(found)
        if all(getattr(now, name) == getattr(after, name) for name in changed):
            return Change("changed", order)
    if order.amount != before.amount:
        return Change("unknown", order, LOOK.reason)
    return Change("unchanged", order, "The change did not reach Bitfinex. Try it again.")


def _find_open(key: ApiKey, order_id: int, lane: Lane) -> Order | None:
    rows = client().call(account.open_orders(), key, lane=lane, deadline=LOOK_PATIENCE)
    return next((row for row in rows if row.id == order_id), None)


def is_gone(error: Rejected) -> bool:
    """Whether the exchange knows no open order by that name (`Order not found.`)."""
    return "not found" in error.text.lower()
