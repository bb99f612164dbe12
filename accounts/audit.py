"""The record of what was done: only ever added to, each event chained to the one before.

`record` writes in the transaction of the act itself, so there is neither an act without its event
nor an event without its act. Each event carries an HMAC over itself and the former one's; triggers
in the database refuse to change or remove a row (migration 0002). What tells a person of an event
(address, browser, name) is kept apart and may be erased: the chain holds only its hash.
"""

import csv
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import IO, Literal

from django.db import connection, models
from django.utils import timezone

from accounts.key_versions import derived_key
from accounts.models import ApiKey, AuditEvent, AuditHead, AuditPii, User

Outcome = Literal["ok", "refused", "failed"]
COLUMNS = ("seq", "at", "tag", "actor", "subject", "key", "outcome", "data", "pii", "prev", "mac")
STARTS_A_FORMULA = tuple("=+-@\t\r\0")
CHUNK = 1000


class Tag(models.TextChoices):
    """Everything that leaves an event."""

    KEY_ADDED = "key.added"
    KEY_VERIFIED = "key.verified"
    KEY_REFUSED = "key.refused"
    KEY_REJECTED = "key.rejected"
    KEY_PERMISSIONS = "key.permissions_changed"
    KEY_POLICY = "key.policy_changed"
    KEY_ARMED = "key.armed"
    KEY_DISARMED = "key.disarmed"
    KEY_REVOKED = "key.revoked"
    KEY_BROKEN = "key.integrity_failed"
    KEY_SHARED = "key.nonce_raised"
    ORDER_CONFIRMED = "order.confirmed"
    ORDER_CHANGED = "order.changed"
    ORDER_CANCELLED = "order.cancelled"
    HALTED = "halt.set"
    KEY_CONFIRMED = "key.confirmed"
    ROTATION = "master_key.rotation"
    BACKED_UP = "database.backed_up"
    RESTORED = "database.restored"
    EXPORTED = "audit.exported"
    INVITED = "account.invited"
    ACCOUNT_MADE = "account.made"
    ACCOUNT_CLOSED = "account.deactivated"
    ACCOUNT_OPENED = "account.reactivated"
    ACCOUNT_DELETED = "account.deleted"
    STAFF_MADE = "account.made_staff"
    STAFF_ENDED = "account.no_longer_staff"
    EMAIL_CHANGED = "account.email_changed"
    DATA_EXPORTED = "account.data_exported"
    LOGGED_IN = "login.done"
    LOGIN_FAILED = "login.failed"
    LOGGED_OUT = "login.ended"
    PROVED = "login.proved_again"
    SESSIONS_ENDED = "login.others_ended"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105  the name of an event
    PASSWORD_RESET = "password.reset"  # noqa: S105
    FACTOR_ADDED = "factor.added"
    FACTOR_REMOVED = "factor.removed"
    FACTORS_RESET = "factor.reset"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` is the first event that does not hold, and `why`; `head` names the end."""

    events: int
    head: str
    broken: int | None = None
    why: str = ""


def record(
    tag: Tag,
    *,
    actor: User | None,
    about: ApiKey | User | None = None,
    outcome: Outcome = "ok",
    data: Mapping[str, object] | None = None,
    pii: Mapping[str, object] | None = None,
) -> AuditEvent:
    """Adds one event. Raises `RuntimeError` outside the transaction of the act.

    `actor` is none for the host or the exchange; `data` and `pii` hold plain JSON values, never a
    secret. Locks the end of the chain until the commit, so it comes last in the transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("an event is recorded in the transaction of its act")
    mac_key = derived_key("audit")
    head = _locked_head()
    event = AuditEvent(
        seq=head.seq + 1,
        at=timezone.now(),
        tag=tag.value,
        actor=actor.pk if actor else None,
        subject=_subject(about),
        key=about.uuid if isinstance(about, ApiKey) else None,
        outcome=outcome,
        data=canonical(data or {}),
        prev=head.mac,
    )
    event.pii = _store_pii(event.seq, pii) if pii else ""
    event.mac = _mac(event, mac_key)
    event.save(force_insert=True)
    AuditHead.objects.filter(pk=1).update(seq=event.seq, mac=event.mac)
    return event


def seal_was_broken(key: ApiKey) -> bool:
    """Whether the seal of this key did not open since the exchange last confirmed the key. A key
    that is quarantined without this came from a backup."""
    about = AuditEvent.objects.filter(subject=key.owner_id, key=key.uuid)
    told = about.filter(tag__in=[Tag.KEY_BROKEN, Tag.KEY_VERIFIED]).last()
    return told is not None and told.tag == Tag.KEY_BROKEN


def verify() -> Verdict:
    """Walks the whole chain: an edited, missing, added or cut event breaks it."""
    mac_key, prev, seq = derived_key("audit"), "", 0
    for event in AuditEvent.objects.order_by("seq").iterator(CHUNK):
        why = _fault(event, seq + 1, prev, mac_key)
        if why:
            return Verdict(seq, prev, event.seq, why)
        seq, prev = event.seq, event.mac
    head = AuditHead.objects.filter(pk=1).first() or AuditHead()
    if (head.seq, head.mac) != (seq, prev):
        return Verdict(seq, prev, seq + 1, "the end of the chain is missing")
    return Verdict(seq, prev)


def export(events: Iterable[AuditEvent], out: IO[str], form: Literal["jsonl", "csv"]) -> int:
    """Writes the events and returns their number."""
    rows = map(_row, events)
    return _write_csv(rows, out) if form == "csv" else _write_lines(rows, out)


def canonical(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _locked_head() -> AuditHead:
    heads = AuditHead.objects.select_for_update().filter(pk=1)
    head = heads.first()
    if head is None:
        AuditHead.objects.get_or_create(pk=1)
        head = heads.get()
    return head


def _subject(about: ApiKey | User | None) -> int | None:
    return about.owner_id if isinstance(about, ApiKey) else about.pk if about else None


def _store_pii(seq: int, pii: Mapping[str, object]) -> str:
    row = AuditPii(seq=seq, salt=secrets.token_hex(16), data=canonical(pii))
    row.save(force_insert=True)
    return _pii_hash(row)


def _pii_hash(row: AuditPii) -> str:
    return hashlib.sha256(f"{row.salt}|{row.data}".encode()).hexdigest()


def _fault(event: AuditEvent, seq: int, prev: str, mac_key: bytes) -> str:
    if event.seq != seq:
        return f"event {seq} is missing"
    if event.prev != prev or not hmac.compare_digest(event.mac, _mac(event, mac_key)):
        return "the event was changed"
    kept = AuditPii.objects.filter(seq=event.seq).first() if event.pii else None
    if kept and _pii_hash(kept) != event.pii:
        return "what tells a person was changed"
    return ""


def _mac(event: AuditEvent, mac_key: bytes) -> str:
    row = _row(event)
    del row["mac"]
    return hmac.digest(mac_key, canonical(row).encode(), "sha256").hex()


def _row(event: AuditEvent) -> dict[str, object]:
    row = {name: getattr(event, name) for name in COLUMNS}
    row["at"] = event.at.astimezone(UTC).isoformat(timespec="microseconds")
    row["key"] = str(event.key) if event.key else None
    return row


def _write_lines(rows: Iterator[dict[str, object]], out: IO[str]) -> int:
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007  the number of the last one
        out.write(canonical({**row, "data": json.loads(str(row["data"]))}) + "\n")
    return count


def _write_csv(rows: Iterator[dict[str, object]], out: IO[str]) -> int:
    writer, count = csv.writer(out), 0
    writer.writerow(COLUMNS)
    for count, row in enumerate(rows, 1):  # noqa: B007
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return count


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is quoted (ASVS 1.2.10)."""
    if isinstance(value, str) and value.startswith(STARTS_A_FORMULA):
        return f"'{value}"
    return value
