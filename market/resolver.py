"""Settles orders whose reply was lost.

It asks the exchange with the key that signed the order. Nonces of a key strictly rise and are
judged on arrival, so once the exchange has answered a question with a higher nonce it will not
take the order's request any more: the question is the fence. An order that is neither open nor in
the history is looked for once more, since a new one may take a moment to be seen; missed twice it
is proven not to be there. Nothing is ever sent again.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import F, Q
from django.utils import timezone

from accounts import broadcast, keys
from accounts.errors import (
    AccountsError,
    KeyNotReady,
    KeyRevoked,
    NonceExhausted,
)
from accounts.models import ApiKey, KeyState
from accounts.notices import notify
from accounts.upkeep import repeat
from market import intents
from market.bitfinex import account
from market.bitfinex.account import Order
from market.bitfinex.errors import AuthRefused, ExchangeError
from market.bitfinex.orders import Flag, NewOrder
from market.client import client
from market.conf import exchange
from market.models import OrderIntent, OrderState
from market.order_words import ABSENT, CHECKING, CRASHED, KEY_GONE

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1
WATCHED_EVERY_MS = 100
SECOND_LOOK = timedelta(seconds=5)
LEASE = timedelta(seconds=45)  # a process that dies while it asks leaves the order to another
LONGEST_PAUSE = timedelta(seconds=20)
FAR_AHEAD = timedelta(seconds=50)  # nothing is planned that late: the clock was set back
STEPPED = timedelta(minutes=1)  # between two looks: the clock was set, or nobody could look
HISTORY = timedelta(days=1)  # before the order was recorded: clocks may differ
PAGE = 2500  # orders of history in one answer
PAGES = 8
PATIENCE = 8  # seconds to wait for a slot
UNWATCHED = timedelta(seconds=15)  # nobody looks at the page any more: a notice
LOST = {KeyState.REFUSED, KeyState.REJECTED}
RESIZED = Flag.CLOSE | Flag.REDUCE_ONLY  # the exchange makes the amount fit the position


class Inconclusive(Exception):
    """There is more history than can be read at once."""


async def settle_for_ever() -> None:
    """For `bfxdash.server.serve`: one round a second until cancelled."""
    await repeat("orders in doubt", settle_due, EVERY_SECONDS)


def settle_due(key: ApiKey | None = None) -> int:
    """One round over the orders whose time has come, of all keys or of one; how many it looked at.
    Any number of processes may do this at once."""
    now = timezone.now()
    here = OrderIntent.objects.filter(settled_at=None, key__exchange=exchange().mode)
    due = here.filter(Q(check_at__lte=now) | Q(check_at__gt=now + FAR_AHEAD))
    if key is not None:
        due = due.filter(key=key)
    mine: dict[UUID, list[OrderIntent]] = defaultdict(list)
    for intent in due.select_related("owner"):
        _hand_over(intent)
        if intent.state == OrderState.UNKNOWN and _claim(intent, now):
            mine[intent.key_id].append(intent)
    keys_by_uuid = ApiKey.objects.in_bulk(mine)
    for uuid, found in mine.items():
        _look_safely(keys_by_uuid[uuid], found)
    return sum(map(len, mine.values()))


def follow(intent: OrderIntent, seconds: float) -> None:
    """Waits for the end of one order's doubts, and does the resolver's work for its key meanwhile,
    since no server may be running."""
    until = time.monotonic() + seconds
    while not intent.is_settled and time.monotonic() < until:
        settle_due(intent.key)
        intent.refresh_from_db()
        if not intent.is_settled:
            time.sleep(WATCHED_EVERY_MS / 1000)


def _hand_over(intent: OrderIntent) -> None:
    """From a sender that does not answer: it is gone, or its reply takes too long."""
    if intent.state == OrderState.INTENT:
        if intents.give_up(intent, CRASHED, nonce=None):
            _tell(intent)
    elif intent.state == OrderState.SENDING:
        intents.doubt(intent, CHECKING)


def _claim(intent: OrderIntent, now: datetime) -> bool:
    same = OrderIntent.objects.filter(pk=intent.pk, check_at=intent.check_at)
    same = same.filter(state=OrderState.UNKNOWN, settled_at=None)
    return bool(same.update(check_at=now + LEASE, looks=F("looks") + 1))


def _look_safely(key: ApiKey, found: list[OrderIntent]) -> None:
    """Trouble with the orders of one key must not keep those of others in doubt."""
    try:
        _look(key, found)
    except Exception as error:
        log.exception("orders not settled", key=str(key.uuid))
        _later(found, error)


def _look(key: ApiKey, found: list[OrderIntent]) -> None:
    try:
        rows = _rows(key, found)
    except (KeyRevoked, NonceExhausted) as error:
        _lose(found, error)
    except KeyNotReady as error:
        if error.state in LOST:
            _lose(found, error)
        else:
            _later(found, error)
    except AuthRefused as error:
        _ask_about(key, found, error)
    except (ExchangeError, AccountsError, Inconclusive) as error:
        _later(found, error)
    else:
        for intent in found:
            _judge(intent, rows.get(intent.pk))


def _rows(key: ApiKey, found: list[OrderIntent]) -> dict[object, Order]:
    """The exchange's order for each intent that has one: open orders first, then history, so that
    an order which closes in between is seen."""
    wanted = {intent.cid: (intent, intents.read_order(intent)) for intent in found}
    rows: dict[object, Order] = {}
    for page in _pages(key, min(intent.created_at for intent in found)):
        for row in page:
            intent, order = wanted.get(row.cid, (None, None))
            if intent is not None and order is not None and is_same(order, row):
                rows[intent.pk] = row
        if len(rows) == len(found):
            break
    return rows


def _pages(key: ApiKey, since: datetime) -> Iterator[list[Order]]:
    """Raises `Inconclusive` when all that may be read was read and there is more."""
    ask = client().call
    yield ask(account.open_orders(), key, lane="look_up", deadline=PATIENCE)
    start = int((since - HISTORY).timestamp() * 1000)
    end: int | None = None
    for _ in range(PAGES):
        request = account.orders_hist(start=start, end=end, limit=PAGE)
        page = ask(request, key, lane="look_up", deadline=PATIENCE)
        yield page
        if len(page) < PAGE:
            return
        end = min(row.mts_update for row in page)
    raise Inconclusive("too many orders in one day")


def is_same(order: NewOrder, row: Order) -> bool:
    """Whether this row of the exchange with the order's client id is that very order: other
    programs with the same account choose client ids of their own."""
    if row.symbol != order.symbol:
        return False
    if (row.amount_orig > 0) != (order.side == "buy"):
        return False
    return bool(order.flags & RESIZED) or abs(row.amount_orig) == order.amount


def _judge(intent: OrderIntent, row: Order | None) -> None:
    now = timezone.now()
    waited = now - intent.missed_at if intent.missed_at else timedelta(0)
    if row is not None:
        intents.accept(intent, row)
        _tell(intent)
    elif SECOND_LOOK <= waited < STEPPED:
        if intents.give_up(intent, ABSENT, nonce=intent.nonce):
            _tell(intent)
    else:
        stepped = not timedelta(0) <= waited < STEPPED
        missed_at = now if stepped else intent.missed_at or now
        same = OrderIntent.objects.filter(pk=intent.pk, state=OrderState.UNKNOWN)
        same.update(missed_at=missed_at, check_at=missed_at + SECOND_LOOK)


def _later(found: list[OrderIntent], error: Exception) -> None:
    log.warning("orders still in doubt", orders=len(found), problem=str(error))
    for intent in found:
        pause = min(timedelta(seconds=2 ** min(intent.looks, 10)), LONGEST_PAUSE)
        same = OrderIntent.objects.filter(pk=intent.pk, state=OrderState.UNKNOWN)
        same.update(check_at=timezone.now() + pause)


def _lose(found: list[OrderIntent], error: Exception) -> None:
    log.error("orders in doubt for ever", orders=len(found), problem=str(error))
    for intent in found:
        intents.lose_key(intent, KEY_GONE)
        _tell(intent)


def _ask_about(key: ApiKey, found: list[OrderIntent], error: AuthRefused) -> None:
    """The exchange refuses the key: for good, or for a moment?"""
    try:
        row = keys.check_key(key=key)
    except AccountsError as problem:
        _later(found, problem)
        return
    if row.state in LOST:
        _lose(found, error)
    else:
        _later(found, error)


def _tell(intent: OrderIntent) -> None:
    """The open pages of its owner; and if it took so long that he has gone, a notice too."""
    broadcast.tell_orders_changed(intent.owner_id)
    began = intent.sent_at or intent.confirmed_at
    if began and timezone.now() - began > UNWATCHED:
        state = OrderState(intent.state).label.lower()
        notify(intent.owner, f"Order {intent.cid} ({intent.symbol}): {state}. {intent.reason}")
