"""What people do with keys. Each act and its audit event are one transaction.

No transaction is open while the exchange is asked: a row is first sealed and committed, then the
exchange is asked, then its answer is noted. Staff may revoke and halt, and nothing else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import audit, exchange, key_versions, revoked_log, signals, vault
from accounts.audit import Tag
from accounts.errors import (
    AccountsError,
    ArmingPaused,
    KeyNotReady,
    KeyRefused,
    KeyRevoked,
    NotAllowed,
)
from accounts.exchange import Burnt, Cancelled
from accounts.halts import apply_to, halt_keys, lock_halts
from accounts.key_rows import change, locked, tell
from accounts.models import ApiKey, HaltLevel, KeyState, User
from accounts.policy import KeyPolicy
from accounts.sealed_rows import WIPED, binding_of, columns_of, sealed_of
from accounts.vault import Secret
from accounts.verdicts import check_key, note_permissions, note_rejection

__all__ = [
    "add_key",
    "arm_key",
    "check_key",
    "confirm_key",
    "disarm_key",
    "halt_keys",
    "note_permissions",
    "note_rejection",
    "revoke_all",
    "revoke_key",
    "set_policy",
]

log = structlog.get_logger(__name__)

ARMED_FOR = timedelta(hours=12)
LABEL_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Revocation:
    """The revoked key; what became of its open orders when they were to be cancelled, and of its
    nonces when they were to be burnt."""

    key: ApiKey
    cancelled: Cancelled | None = None
    burnt: Burnt | None = None


@sensitive_variables("api_key", "api_secret")
def add_key(
    *,
    user: User,
    label: str,
    api_key: str | Secret,
    api_secret: str | Secret,
    policy: KeyPolicy | None = None,
    terms_acknowledged: bool = False,
) -> ApiKey:
    """Seals a key of `user` and asks the exchange what it may do.

    Returns a usable key, or an unverified one when the exchange could not be asked: `check_key`
    later. Raises `KeyRefused` (the secret is then wiped), `MasterKeyError`, or `NotAllowed` for an
    account that has been closed meanwhile.
    """
    api_key, api_secret = vault.pasted(api_key), vault.pasted(api_secret)
    label = label.strip()
    if not (0 < len(label) <= LABEL_LENGTH and label.isprintable()):
        raise KeyRefused("label")
    row = ApiKey(owner=user, label=label, exchange=settings.BFX_EXCHANGE)
    row.policy_text = (policy or KeyPolicy()).text
    row.terms_at = timezone.now() if terms_acknowledged else None
    try:
        _store(row, api_key, api_secret)
    except IntegrityError as error:
        # Django's connection remembers it, and the frames of its tracebacks hold the key.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        _note_known(user, row)
        raise KeyRefused("known") from None
    return check_key(key=row)


def arm_key(*, key: ApiKey, by: User, until: datetime | None = None) -> ApiKey:
    """Lets the key place orders until then (default: 12 hours). The owner alone may do this.

    Raises `KeyUnusable` when the key is not usable or the exchange gives it no orders, and
    `ArmingPaused` for a day after the account was recovered.
    """
    with _own_row(key, by) as row:
        _require_usable(row)
        paused = User.objects.values_list("no_arming_until", flat=True).get(pk=by.pk)
        if paused and paused > timezone.now():
            raise ArmingPaused(paused)
        row.require("orders", "write")
        if row.permissions.withdraws and not settings.BFX_WITHDRAWALS:
            raise KeyRefused("withdraw")
        armed_until = until or timezone.now() + ARMED_FOR
        change(row, armed_until=armed_until)
        data = {"until": armed_until.isoformat()}
        audit.record(Tag.KEY_ARMED, actor=by, about=row, data=data)
    return ApiKey.objects.get(pk=key.pk)


def confirm_key(*, key: ApiKey, by: User) -> ApiKey:
    """The owner says that a key of a restored database is still his: the exchange is asked again.

    Returns it usable, or unverified when the exchange could not be asked. Raises `KeyRevoked`,
    `KeyNotReady` unless it is quarantined, `KeyRefused` (the secret is then wiped), or
    `SealBroken` when it was quarantined for that, and stays so.
    """
    with _own_row(key, by) as row:
        if row.is_revoked:
            raise KeyRevoked(row.uuid)
        if row.state != KeyState.QUARANTINED:
            raise KeyNotReady(row.uuid, row.state)
        change(row, state=KeyState.UNVERIFIED, armed_until=None)
        audit.record(Tag.KEY_CONFIRMED, actor=by, about=row)
    return check_key(key=row)


def disarm_key(*, key: ApiKey, by: User | None, reason: str = "") -> None:
    """The key only reads and cancels from now on."""
    _require_safety(key, by)
    with locked(key) as row:
        change(row, armed_until=None)
        audit.record(Tag.KEY_DISARMED, actor=by, about=row, data={"reason": reason})


def set_policy(*, key: ApiKey, by: User, policy: KeyPolicy) -> ApiKey:
    """Replaces the policy, and seals the secret anew with it. The owner alone may do this."""
    ring = key_versions.ready_ring()
    with _own_row(key, by) as row:
        _require_usable(row)
        before, old = row.policy_text, binding_of(row)
        row.policy_text, row.generation = policy.text, row.generation + 1
        version = key_versions.active_version(ring)
        sealed = vault.reseal(sealed_of(row), old, ring, version, to=binding_of(row))
        columns = columns_of(sealed)
        change(row, policy_text=row.policy_text, generation=row.generation, **columns)
        data = {"before": before, "after": policy.text}
        audit.record(Tag.KEY_POLICY, actor=by, about=row, data=data)
    return ApiKey.objects.get(pk=key.pk)


def revoke_key(
    *,
    key: ApiKey,
    by: User | None,
    reason: str,
    cancel_orders: bool = False,
    burn: bool = False,
) -> Revocation:
    """Wipes the secret: from this commit on nothing is signed with the key any more.

    With `cancel_orders` placing is stopped first and all orders are cancelled, with `burn` the last
    request uses up every nonce of the key; both as far as the exchange answers. `by` is none for
    the host's command line. Revoking twice changes nothing.
    """
    _require_safety(key, by)
    cancelled = _cancel_orders(key, by, reason) if cancel_orders else None
    burnt = _burn(key) if burn else None
    with transaction.atomic():
        _wipe(key, by, reason, burnt)
    return Revocation(ApiKey.objects.get(pk=key.pk), cancelled, burnt)


def revoke_all(
    *, by: User | None, reason: str, owner: User | None = None, cancel_orders: bool = False
) -> list[Revocation]:
    """Revokes every key of one user; for the host or staff also of everybody."""
    if by and not by.is_staff and owner != by:
        raise NotAllowed("revoke")
    living = ApiKey.objects.filter(revoked_at=None).order_by("pk")
    found = living.filter(owner=owner) if owner else living
    return [revoke_key(key=key, by=by, reason=reason, cancel_orders=cancel_orders) for key in found]


@transaction.atomic(durable=True)
def _store(row: ApiKey, api_key: Secret, api_secret: Secret) -> None:
    """Sealed and committed. The halts are locked, so that a new key does not slip past one."""
    lock_halts()
    if not User.objects.filter(pk=row.owner_id, is_active=True).exists():
        raise NotAllowed("add a key to a closed account")
    ring = key_versions.ready_ring()
    stamp = key_versions.derived_key("fingerprint")
    row.fingerprint = vault.fingerprint(api_key, row.exchange, stamp)
    row.last4 = vault.last_four(api_key)
    version = key_versions.active_version(ring)
    sealed = vault.seal(api_key, api_secret, binding_of(row), ring, version)
    for column, value in columns_of(sealed).items():
        setattr(row, column, value)
    row.save(force_insert=True)
    apply_to(ApiKey.objects.filter(pk=row.pk))
    audit.record(
        Tag.KEY_ADDED, actor=row.owner, about=row, data=_shown(row), pii={"label": row.label}
    )


def _shown(row: ApiKey) -> dict[str, object]:
    terms = row.terms_at.isoformat() if row.terms_at else None
    return {"exchange": row.exchange, "last4": row.last4, "terms": terms}


@transaction.atomic
def _note_known(user: User, row: ApiKey) -> None:
    """Whose key it is already is not told."""
    data = {"reason": "known", "exchange": row.exchange, "last4": row.last4}
    audit.record(Tag.KEY_REFUSED, actor=user, about=user, outcome="refused", data=data)


@contextmanager
def _own_row(key: ApiKey, by: User) -> Iterator[ApiKey]:
    with locked(key) as row:
        if row.owner_id != by.pk:
            raise NotAllowed("not the owner")
        yield row


def _require_safety(key: ApiKey, by: User | None) -> None:
    """Owner, staff and host may make a key safer."""
    if by and not by.is_staff and by.pk != key.owner_id:
        raise NotAllowed("neither owner nor staff")


def _require_usable(row: ApiKey) -> None:
    if row.is_revoked:
        raise KeyRevoked(row.uuid)
    if row.state != KeyState.USABLE or row.exchange != settings.BFX_EXCHANGE:
        raise KeyNotReady(row.uuid, row.state)


def _cancel_orders(key: ApiKey, by: User | None, reason: str) -> Cancelled:
    halt_keys(by=by, level=HaltLevel.ORDERS, reason=reason, key=key)
    try:
        return exchange.backend().cancel_all(key)
    except (AccountsError, DatabaseError) as error:
        return Cancelled(None, str(error))


def _burn(key: ApiKey) -> Burnt:
    try:
        return exchange.backend().burn(key)
    except AccountsError as error:
        return Burnt(str(error))


def _wipe(key: ApiKey, by: User | None, reason: str, burnt: Burnt | None) -> None:
    living = ApiKey.objects.filter(pk=key.pk, revoked_at=None)
    changed = living.update(
        revoked_at=timezone.now(),
        revoked_by=by,
        revoked_reason=reason[:200],
        armed_until=None,
        generation=F("generation") + 1,
        **WIPED,
    )
    if changed:
        transaction.on_commit(lambda: _note_revoked(key))
        tell(signals.key_revoked, key)
        burning = {"burnt": burnt.problem or "yes"} if burnt else {}
        audit.record(Tag.KEY_REVOKED, actor=by, about=key, data={"reason": reason, **burning})


def _note_revoked(key: ApiKey) -> None:
    """Outlives the database. When the disk refuses, `accounts.restore_guard` notes it later."""
    try:
        revoked_log.note_revoked([key.fingerprint] if key.fingerprint else [])
    except OSError as error:
        log.error("revocation not in revoked.log yet", key=str(key.uuid), problem=str(error))
