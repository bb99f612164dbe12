"""The grant: one conditional update of a key's row that allots a nonce and its own send time.

It refuses a key that is revoked, halted, not armed for the act or changed, and otherwise allots
the nonce `max(last + 1, now)` and a send time at least one gap after the former one's. Nothing is
held while the request flies: a killed or frozen worker blocks nobody. Times are µs since the
epoch, of the database's clock on PostgreSQL (several machines), of this machine's on SQLite.

The act `burn` gets the largest nonce that the exchange knows, so that no other can follow it, from
whomever. It is the last thing a key does.

A nonce that the exchange refused (10114) was not executed. The next one is higher anyway; when
refusals go on, somebody else uses the key, and the floor is raised in steps.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction

from accounts import audit
from accounts.errors import (
    AccountsError,
    KeyBusy,
    KeyChanged,
    KeyHalted,
    KeyNotArmed,
    KeyNotReady,
    KeyRevoked,
    NonceExhausted,
)
from accounts.models import FIRST_GAP_US, SHARED_AFTER, Act, ApiKey, HaltLevel, KeyState
from accounts.sealed_rows import sealed_from
from accounts.signing import MAX_NONCE
from accounts.vault import Binding, SealedKey

SECOND = 1_000_000
AHEAD_US = 150_000  # a grant is given at most this long before its send time
STRAY_US = 2 * SECOND  # a send time further ahead than this came from a clock that was set back
WIDEST_GAP_US = 250_000
SHORTEST_WAIT_US = 1_000
CEILING = MAX_NONCE - 1_000 * SECOND
REFUSALS = 12  # in a row, then the key is given up
MANY = 32_767  # more than the column holds
DAY = 86_400 * SECOND
STEPS = (0, 60 * SECOND, DAY, 365 * DAY, 3_650 * DAY, 36_500 * DAY)

GRANT = """
UPDATE accounts_apikey AS k
SET last_nonce = {nonce}, send_at = {slot}, gap = {larger}(k.gap - k.gap / 64, {first_gap})
{clock}
WHERE k.uuid = %(key)s AND k.exchange = %(exchange)s
  AND k.revoked_at IS NULL AND k.halt < %(halt)s AND k.wrapped_dek IS NOT NULL
  AND (k.state = 'usable' OR (k.state = 'unverified' AND %(act)s = 'read'))
  AND (%(act)s <> 'place' OR (k.generation = %(generation)s AND k.armed_until > {now_at}))
  AND k.bump < {refusals} AND k.last_nonce < {nonce} AND {nonce} <= {ceiling}
  AND {slot} <= {now} + {ahead}
RETURNING last_nonce, send_at, {now}, bump, owner_id, generation, policy_text,
  kek_version, wrapped_dek, sealed_key, sealed_secret
"""
SERVER_CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
CLOCK = f"FROM (SELECT COALESCE(%(now)s::bigint, {SERVER_CLOCK}) AS now) AS n"


@dataclass(frozen=True, slots=True)
class Grant:
    """A nonce, when to send it (`wait_us` after the grant was asked for), and the sealed row.

    `bump`: how many nonces in a row were refused before this one.
    """

    nonce: int
    wait_us: int
    bump: int
    binding: Binding
    sealed: SealedKey


def grant(key: ApiKey, act: Act, *, now: int | None = None) -> Grant:
    """The next nonce of this key for this act; commits before it returns.

    `now` replaces the clock, in µs. Raises `KeyBusy` when the next slot lies too far ahead, and
    otherwise the `KeyUnusable` that says why. `RuntimeError` inside a transaction.
    """
    if connection.vendor == "sqlite" and now is None:
        now = time.time_ns() // 1000
    _refuse_inside_a_transaction()
    with connection.cursor() as cursor:
        cursor.execute(_SQL[connection.vendor, act == "burn"], _arguments(key, act, now))
        row = cursor.fetchone()
    if row is None:
        raise _refusal(key, act, now)
    nonce, send_at, at, bump, owner, generation, policy, version, *sealed = row
    return Grant(
        nonce=nonce,
        wait_us=max(send_at - at, 0),
        bump=bump,
        binding=Binding(owner, key.uuid, key.exchange, generation, policy),
        sealed=sealed_from(version, *sealed),
    )


def accepted(key: UUID) -> None:
    """The exchange took a nonce after some refusals: the row of refusals ends."""
    ApiKey.objects.filter(pk=key, bump__gt=0).update(bump=0)


@transaction.atomic
def refused(key: UUID, nonce: int) -> int:
    """The exchange answered 10114: the request was not executed and may be sent again.

    Doubles the gap, and raises the floor by the next step. A nonce allotted before the latest
    step says nothing about it and raises nothing. Returns the refusals in a row.
    """
    row = ApiKey.objects.select_for_update(no_key=True).get(pk=key)
    wider = min(row.gap * 2, WIDEST_GAP_US)
    if nonce <= row.bumped_at:
        ApiKey.objects.filter(pk=key).update(gap=wider)
        return row.bump
    bump, floor = row.bump + 1, raised(row.last_nonce, row.bump)
    ApiKey.objects.filter(pk=key).update(
        gap=wider, bump=bump, bumped_at=row.last_nonce, last_nonce=floor
    )
    if bump >= SHARED_AFTER:
        seen = {"refused_in_a_row": bump, "last_nonce": floor}
        audit.record(audit.Tag.KEY_SHARED, actor=None, about=row, outcome="failed", data=seen)
    return bump


def raised(last_nonce: int, refusals: int) -> int:
    """The floor after one more refusal in a row (0 = the first): none, a minute, a day, 1, 10 and
    100 years, then half of what remains; never above the ceiling."""
    if refusals < len(STEPS):
        return min(last_nonce + STEPS[refusals], max(CEILING, last_nonce))
    return last_nonce + max(CEILING - last_nonce, 0) // 2


def _refuse_inside_a_transaction() -> None:
    """A grant has to be committed before the request leaves. `atomic(durable=True)` would say the
    same, with two more round trips to the database for one statement."""
    blocks = connection.atomic_blocks
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
        raise RuntimeError("a grant must not be part of a transaction")


def _statement(vendor: str, *, burns: bool) -> str:
    """The same grant in both dialects. On PostgreSQL the clock is read once, in `n`. Burning is for
    a key that somebody else may be using, so refusals do not hold it up."""
    on_server = vendor == "postgresql"
    larger, now = ("GREATEST", "n.now") if on_server else ("MAX", "%(now)s")
    free = f"CASE WHEN k.send_at > {now} + {STRAY_US} THEN 0 ELSE k.send_at + k.gap END"
    slot = f"{larger}({free}, {now})"
    return GRANT.format(
        slot=slot,
        nonce=str(MAX_NONCE) if burns else f"{larger}(k.last_nonce + 1, {slot})",
        now=now,
        now_at=f"to_timestamp({now} / 1000000.0)" if on_server else "%(now_at)s",
        clock=CLOCK if on_server else "",
        larger=larger,
        first_gap=FIRST_GAP_US,
        refusals=MANY if burns else REFUSALS,
        ceiling=MAX_NONCE if burns else CEILING,
        ahead=AHEAD_US,
    )


_SQL = {
    (vendor, burns): _statement(vendor, burns=burns)
    for vendor in ("postgresql", "sqlite")
    for burns in (False, True)
}
_HALTS: dict[Act, HaltLevel] = {
    "read": HaltLevel.SIGNING,
    "cancel": HaltLevel.SIGNING,
    "place": HaltLevel.ORDERS,
    "burn": HaltLevel.SIGNING,
}


def _arguments(key: ApiKey, act: Act, now: int | None) -> dict[str, Any]:
    now_at = _moment(now or 0)
    return {
        "key": models.UUIDField().get_db_prep_value(key.uuid, connection),
        "exchange": settings.BFX_EXCHANGE,
        "act": act,
        "halt": _HALTS[act].value,
        "generation": key.generation,
        "now": now,
        "now_at": models.DateTimeField().get_db_prep_value(now_at, connection),
    }


def _moment(now: int) -> datetime:
    seconds, micros = divmod(now, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


def ready(key: ApiKey, act: Act, *, now: int | None = None) -> ApiKey:
    """The row as it is now, if it would be granted this act, now or a moment later. Allots
    nothing, so only a grant is a promise. Raises the `KeyUnusable` that says why not."""
    row, clock = _as_it_is(key, now)
    why_not = _never(row, act) or (act == "place" and _not_armed(row, clock))
    if why_not:
        raise why_not
    return row


def _as_it_is(key: ApiKey, now: int | None) -> tuple[ApiKey, int]:
    """The row, and the clock that the grant goes by."""
    number: models.BigIntegerField[int, int] = models.BigIntegerField()
    if now is None and connection.vendor == "sqlite":
        now = time.time_ns() // 1000
    on_server = models.Func(template=SERVER_CLOCK, output_field=number)
    clock = on_server if now is None else models.Value(now, output_field=number)
    row: Any = ApiKey.objects.annotate(clock=clock).get(pk=key.pk)
    return row, row.clock


def _refusal(key: ApiKey, act: Act, now: int | None) -> AccountsError:
    """Why no row was granted, by a second read: by then the cause may be gone, and the caller
    may ask again at once."""
    row, clock = _as_it_is(key, now)
    return _never(row, act) or _not_now(row, key, act, clock)


def _never(row: ApiKey, act: Act) -> AccountsError | None:
    """What waiting does not help against."""
    if row.revoked_at:
        return KeyRevoked(row.uuid)
    if row.exchange != settings.BFX_EXCHANGE:
        return KeyNotReady(row.uuid, f"a key of the {row.exchange} exchange")
    if row.state != KeyState.USABLE and not (row.state == KeyState.UNVERIFIED and act == "read"):
        return KeyNotReady(row.uuid, row.state)
    if row.halt >= _HALTS[act]:
        return KeyHalted(row.uuid, row.halt)
    if _is_exhausted(row, act):
        return NonceExhausted(row.uuid)
    return None


def _is_exhausted(row: ApiKey, act: Act) -> bool:
    if act == "burn":
        return row.last_nonce >= MAX_NONCE
    return row.bump >= REFUSALS or row.last_nonce >= CEILING


def _not_now(row: ApiKey, key: ApiKey, act: Act, now: int) -> AccountsError:
    if act == "place" and row.generation != key.generation:
        return KeyChanged(row.uuid)
    wait = row.send_at + row.gap - AHEAD_US - now
    busy = KeyBusy(row.uuid, min(max(wait, SHORTEST_WAIT_US), STRAY_US))
    return (_not_armed(row, now) if act == "place" else None) or busy


def _not_armed(row: ApiKey, now: int) -> AccountsError | None:
    return None if row.is_armed(_moment(now)) else KeyNotArmed(row.uuid)
