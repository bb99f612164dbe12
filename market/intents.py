"""The record of orders: what was confirmed, and what is known of it.

PREVIEW → INTENT → SENDING → ACCEPTED | REJECTED | NOT_PLACED | UNKNOWN
UNKNOWN → ACCEPTED | NOT_PLACED | KEY_GONE

Each arrow is one compare-and-swap, so that a sender, a resolver and a second click never undo one
another. INTENT is committed with its client id before anything is signed, SENDING with its nonce
before a byte may leave: after a crash an INTENT was surely not sent, a SENDING may have been.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from accounts.audit import Tag
from accounts.models import ApiKey, User
from accounts.policy import KeyPolicy
from market.bitfinex.account import Order
from market.bitfinex.orders import Flag, NewOrder
from market.models import OrderIntent, OrderState, OrderTally
from market.order_errors import IntentTaken, OrderRefused, PreviewGone

log = structlog.get_logger(__name__)

PREVIEW_LIFE = timedelta(seconds=60)
TAKE_OVER = timedelta(seconds=10)
"""After this long without an answer the resolver looks by itself, sender or no sender: its own
call has a higher nonce, so the exchange will not take the old one any more."""

MARGIN = timedelta(seconds=5)
DAY = timedelta(days=1)
MICROS = Decimal(1_000_000)
TEXT = 300
CIDS = 5  # a second one of the same key and millisecond with the same random bits: try again
AMOUNTS = ("amount", "price", "price_trailing", "price_aux_limit", "price_oco_stop")
IN_DOUBT = (OrderState.SENDING, OrderState.UNKNOWN)


def preview(
    *, user: User, key: ApiKey, order: NewOrder, value: Decimal, price_seen: Decimal | None
) -> OrderIntent:
    """The order as its owner is asked to confirm it; good for a minute. `value` is in USD. Reviews
    that he left alone a day ago are forgotten."""
    left_alone = OrderIntent.objects.filter(owner=user, state=OrderState.PREVIEW)
    left_alone.filter(created_at__lt=timezone.now() - DAY).delete()
    return OrderIntent.objects.create(
        **_fields(user, key, order, value, price_seen), state=OrderState.PREVIEW
    )


def confirm(intent: OrderIntent, *, policy: KeyPolicy, value: Decimal, wait: timedelta) -> bool:
    """PREVIEW → INTENT, within the policy of its key. False when it was confirmed before.

    `value` is the order's worth by now, in USD, `wait` how long its sender may be waiting for its
    turn. Raises `PreviewGone` after a minute, `OrderRefused` for what the policy forbids.
    """
    now = timezone.now()
    if not intent.created_at <= now <= intent.created_at + PREVIEW_LIFE:
        intent.refresh_from_db()
        if intent.state == OrderState.PREVIEW:
            raise PreviewGone
        return False
    intent.value_micros = micros(value)
    return _record(intent, policy, now, wait)


def record(
    *,
    user: User,
    key: ApiKey,
    order: NewOrder,
    value: Decimal,
    price_seen: Decimal | None,
    wait: timedelta,
) -> OrderIntent:
    """An INTENT at once, for who needs no review. Raises `OrderRefused`."""
    fields = _fields(user, key, order, value, price_seen)
    intent = OrderIntent(**fields, state=OrderState.INTENT)
    _record(intent, key.policy, intent.created_at, wait)
    return intent


def begin(intent: OrderIntent, nonce: int) -> None:
    """INTENT → SENDING, or a new nonce for the next attempt. Raises `IntentTaken` when the order
    was settled meanwhile: then nothing may be sent."""
    now = timezone.now()
    mine = OrderIntent.objects.filter(pk=intent.pk, nonce=intent.nonce)
    mine = mine.filter(state__in=(OrderState.INTENT, OrderState.SENDING))
    values = {"state": OrderState.SENDING, "nonce": nonce, "sent_at": now}
    with _on_the_disk():
        begun = mine.update(**values, check_at=now + TAKE_OVER)
    if not begun:
        raise IntentTaken
    _set(intent, values)


def accept(intent: OrderIntent, order: Order) -> None:
    """The exchange has it. Whatever was believed before, this is the truth."""
    former = intent.state
    found: dict[str, Any] = {"order_id": order.id, "status": told(order.status), "reason": ""}
    false = (OrderState.NOT_PLACED, OrderState.KEY_GONE)
    if _settle(intent, OrderState.ACCEPTED, *IN_DOUBT, *false, **found) and former in false:
        log.error("an order appeared late", intent=str(intent.pk), cid=intent.cid)


def reject(intent: OrderIntent, reason: str) -> None:
    """The exchange said no, in these words."""
    _settle(intent, OrderState.REJECTED, OrderState.INTENT, *IN_DOUBT, reason=told(reason))


def give_up(intent: OrderIntent, reason: str, *, nonce: int | None) -> bool:
    """Proven that the exchange has not got it, and will not: nothing was sent after this nonce.
    False when another attempt was made or the order was settled meanwhile."""
    states = (OrderState.INTENT, *IN_DOUBT)
    where = {"nonce": nonce}
    return _settle(intent, OrderState.NOT_PLACED, *states, where=where, reason=told(reason))


def doubt(intent: OrderIntent, reason: str, *, look_in: timedelta = timedelta(0)) -> None:
    """SENDING → UNKNOWN: from here on nothing more is sent, and the resolver looks."""
    at = timezone.now() + look_in
    _move(intent, OrderState.UNKNOWN, OrderState.SENDING, reason=told(reason), check_at=at)


def lose_key(intent: OrderIntent, reason: str) -> None:
    """UNKNOWN for ever: nobody can ask with this key. Its owner has to look at the exchange."""
    _settle(intent, OrderState.KEY_GONE, OrderState.UNKNOWN, reason=told(reason))


def told(text: str) -> str:
    """Words of the exchange as a row can keep them: not too long, and nothing but characters to be
    read (PostgreSQL takes no NUL)."""
    return "".join(each if each.isprintable() else " " for each in text[:TEXT])


def order_text(order: NewOrder) -> str:
    """The one spelling of an order; `read_order` gives it back unchanged."""
    amounts = {name: getattr(order, name) for name in AMOUNTS}
    fields: dict[str, object] = {
        "symbol": order.symbol,
        "side": order.side,
        "order_type": order.order_type,
        **{name: format(value, "f") for name, value in amounts.items() if value is not None},
        "flags": int(order.flags),
        "tif": order.tif.isoformat() if order.tif else None,
        "leverage": order.leverage,
        "gid": order.gid,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def read_order(intent: OrderIntent) -> NewOrder:
    """The order of this row."""
    fields = json.loads(intent.order_text)
    amounts = {name: Decimal(fields[name]) for name in AMOUNTS if name in fields}
    if "tif" in fields:
        fields["tif"] = datetime.fromisoformat(fields["tif"])
    return NewOrder(**{**fields, **amounts, "flags": Flag(fields["flags"])})


def _fields(
    user: User, key: ApiKey, order: NewOrder, value: Decimal, price_seen: Decimal | None
) -> dict[str, Any]:
    return {
        "owner": user,
        "key": key,
        "symbol": order.symbol,
        "order_text": order_text(order),
        "value_micros": micros(value),
        "price_seen": "" if price_seen is None else format(price_seen, "f"),
        "created_at": timezone.now(),
    }


def micros(usd: Decimal) -> int:
    return int((usd * MICROS).to_integral_value(ROUND_UP))


def _record(intent: OrderIntent, policy: KeyPolicy, now: datetime, wait: timedelta) -> bool:
    for _ in range(CIDS - 1):
        with suppress(IntegrityError):
            return _record_once(intent, policy, now, wait)
    return _record_once(intent, policy, now, wait)


@transaction.atomic(durable=True)
def _record_once(intent: OrderIntent, policy: KeyPolicy, now: datetime, wait: timedelta) -> bool:
    """The intent, what it reserves, and its event are one transaction."""
    intent.cid = new_cid(now)
    intent.confirmed_at, intent.check_at = now, now + wait + MARGIN
    if not _write(intent):
        return False
    _reserve(intent.key, policy, intent.value_micros, now)
    if policy.orders_a_minute is not None:
        _count_minute(intent.key, policy.orders_a_minute, now)
    data = {**json.loads(intent.order_text), "cid": intent.cid, "intent": str(intent.pk)}
    audit.record(Tag.ORDER_CONFIRMED, actor=intent.owner, about=intent.key, data=data)
    return True


def _write(intent: OrderIntent) -> bool:
    """A new row, or a preview that nobody has confirmed yet."""
    if intent.state == OrderState.INTENT:
        intent.save(force_insert=True)
        return True
    names = ("cid", "confirmed_at", "check_at", "value_micros")
    values = {name: getattr(intent, name) for name in names}
    return _move(intent, OrderState.INTENT, OrderState.PREVIEW, **values)


def reserve_more(key: ApiKey, added: Decimal) -> None:
    """Counts what a change adds to an open order, in USD. In a transaction; raises
    `OrderRefused`."""
    if added > 0:
        _reserve(key, key.policy, micros(added), timezone.now())


def give_back(key: ApiKey, added: Decimal) -> None:
    """A change that was counted has not been made."""
    if added > 0:
        _release(key.pk, micros(added), timezone.now())


def _reserve(key: ApiKey, policy: KeyPolicy, value: int, now: datetime) -> None:
    """Raises `OrderRefused` when the day of this key has no room. The key's tally stays locked
    until the commit, so that parallel orders are counted one after the other."""
    day = now.astimezone(UTC).date()
    OrderTally.objects.bulk_create([OrderTally(key=key, day=day)], ignore_conflicts=True)
    tally = OrderTally.objects.select_for_update().get(pk=key.pk)
    if day < tally.day <= day + DAY:
        day = tally.day  # a clock that was set back does not begin a day again
    spent = tally.micros if tally.day == day else 0
    if spent + value > micros(policy.day_total):
        left = max(Decimal(0), policy.day_total - spent / MICROS)
        raise OrderRefused("day_total", limit=policy.day_total, left=left)
    OrderTally.objects.filter(pk=key.pk).update(day=day, micros=spent + value)


def _count_minute(key: ApiKey, limit: int, now: datetime) -> None:
    """The new one included."""
    minute = (now - timedelta(minutes=1), now)
    if OrderIntent.objects.filter(key=key, confirmed_at__range=minute).count() > limit:
        raise OrderRefused("orders_a_minute", limit=limit)


def new_cid(now: datetime) -> int:
    """ms * 16 + 4 random bits: below 2^45 until September 2039 (an int45 at the exchange)."""
    return int(now.timestamp() * 1000) * 16 + secrets.randbits(4)


@contextmanager
def _on_the_disk() -> Iterator[None]:
    """What is committed here outlives a power cut too, and so does all that was before it. SQLite
    otherwise leaves the last commits to the system: an order that has left would look unsent."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=FULL")
        try:
            yield
        finally:
            cursor.execute("PRAGMA synchronous=NORMAL")


@transaction.atomic
def _settle(
    intent: OrderIntent,
    to: OrderState,
    *states: OrderState,
    where: Mapping[str, Any] | None = None,
    **values: Any,
) -> bool:
    """To a final state. What is surely not there gives its share of the day back."""
    done = _move(
        intent, to, *states, where=where, **values, settled_at=timezone.now(), check_at=None
    )
    if done and to in (OrderState.REJECTED, OrderState.NOT_PLACED) and intent.confirmed_at:
        _release(intent.key_id, intent.value_micros, intent.confirmed_at)
    return done


def _release(key: UUID, value: int, counted_at: datetime) -> None:
    """As long as that day is still counted."""
    day = counted_at.astimezone(UTC).date()
    OrderTally.objects.filter(pk=key, day=day).update(micros=F("micros") - value)


def _move(
    intent: OrderIntent,
    to: OrderState,
    *states: OrderState,
    where: Mapping[str, Any] | None = None,
    **values: Any,
) -> bool:
    """One arrow: only from these states. When somebody else was quicker, the row as it is now."""
    same = OrderIntent.objects.filter(pk=intent.pk, state__in=states, **(where or {}))
    if same.update(state=to, **values):
        _set(intent, {"state": to, **values})
        return True
    with suppress(OrderIntent.DoesNotExist):  # erased with its owner's account
        intent.refresh_from_db()
    return False


def _set(intent: OrderIntent, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(intent, name, value)
