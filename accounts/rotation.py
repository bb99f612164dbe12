"""Replacing the master key without downtime, one step at a time.

`new` adds a version to the file, `activate` lets new secrets use it, `rewrap` moves the rows,
`verify` opens each of them, `retire` takes the old version away. Each step may be repeated, and
be killed: what is left to do is what the rows say. Each row moves by a compare-and-swap on its
wrapped data key, so a revocation or a new policy in between wins.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from accounts import audit, key_versions, master_key, vault
from accounts.errors import RotationRefused, SealBroken
from accounts.master_key import Ring
from accounts.models import ApiKey, MasterKeyVersion, RingReport, RootKey
from accounts.querysets import ApiKeyQuerySet
from accounts.sealed_rows import binding_of, columns_of, sealed_of
from accounts.vault import SealedKey

ALIVE = timedelta(seconds=60)
KEPT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Moved:
    """`moved` rows, `overtaken` by another change meanwhile, `broken` seals, `left` to do."""

    moved: int
    overtaken: int
    broken: int
    left: int


@transaction.atomic
def new() -> int:
    """Adds the next version to the file and returns its number; nothing uses it yet."""
    ring = key_versions.ready_ring()
    key_versions.active_version(ring)
    version = ring.newest + 1
    if MasterKeyVersion.objects.filter(version=version).exists():
        raise RotationRefused(f"version {version} was made on another machine: copy its file")
    master_key.append()
    key_versions.note_version(master_key.ring(), version)
    _record("new", version=version)
    return version


@transaction.atomic
def activate(version: int) -> None:
    """New secrets are wrapped by this version. Raises `RotationRefused` while a running process
    does not have it, for it could not open them."""
    ring = master_key.ring()
    rows = {row.version: row for row in MasterKeyVersion.objects.select_for_update()}
    key_versions.note_version(ring, version)
    key_versions.confirm(ring, version)
    if version in rows and rows[version].retired_at:
        raise RotationRefused(f"version {version} is retired")
    _refuse_unless_everywhere(version)
    MasterKeyVersion.objects.filter(active=True).update(active=False)
    MasterKeyVersion.objects.filter(version=version).update(active=True, emptied_at=None)
    _record("activate", version=version)


def rewrap(
    *, batch: int = 200, sleep_ms: int = 20, limit: int | None = None, reseal: bool = False
) -> Moved:
    """Moves rows to the active version, `batch` at a time with a pause, at most `limit` of them.

    Moving leaves the secrets closed. With `reseal` they get new data keys too, as they must when
    the old master key may be known to others.
    """
    ring, version = master_key.ring(), _active()
    _rewrap_root(ring, version)
    count: Counter[str] = Counter()
    for rows in _batches(version, batch, limit):
        for row in rows:
            count[_move(row, ring, version, reseal=reseal)] += 1
        time.sleep(sleep_ms / 1000)
    left = _work(version).count()
    with transaction.atomic():
        if not left:
            _note_emptied()
        moved = Moved(count["moved"], count["overtaken"], count["broken"], left)
        _record("rewrap", version=version, moved=moved.moved, left=left, reseal=reseal)
    return moved


def verify() -> tuple[int, list[str]]:
    """Opens every row. Returns how many opened, and the keys whose seal is broken."""
    ring, opened, broken = master_key.ring(), 0, []
    for row in _sealed().order_by("pk").iterator(500):
        try:
            vault.open_sealed(sealed_of(row), binding_of(row), ring)
        except SealBroken:
            key_versions.confirm(ring, row.kek_version or 0)
            broken.append(str(row.uuid))
        else:
            opened += 1
    return opened, broken


@transaction.atomic
def retire(version: int, *, keep_days: int = KEPT_DAYS) -> None:
    """Takes a version out of the file; what only it could open, like the revoked secrets in old
    backups, is gone. Raises `RotationRefused` while a row needs it, or a backup younger than
    `keep_days` may."""
    rows = {row.version: row for row in MasterKeyVersion.objects.select_for_update()}
    row = rows.get(version)
    if row is None or row.retired_at:
        raise RotationRefused(f"version {version} is not in use")
    if version in key_versions.needed_versions():
        raise RotationRefused(f"version {version} is still needed: activate another, and rewrap")
    since = row.emptied_at
    if since is None or since > timezone.now() - timedelta(days=keep_days):
        raise RotationRefused(f"a backup younger than {keep_days} days may need version {version}")
    MasterKeyVersion.objects.filter(version=version).update(retired_at=timezone.now())
    _record("retire", version=version)
    master_key.remove(version)


def status() -> dict[str, object]:
    """What a person wants to see between two steps, as plain JSON values."""
    by_version = _sealed().values_list("kek_version").annotate(keys=Count("pk"))
    versions = MasterKeyVersion.objects.order_by("version")
    return {
        "active": next((row.version for row in versions if row.active), None),
        "in_file": sorted(master_key.ring().versions),
        "known": [row.version for row in versions],
        "retired": [row.version for row in versions if row.retired_at],
        "keys_by_version": {str(version): keys for version, keys in by_version.order_by()},
        "root_version": RootKey.objects.values_list("kek_version", flat=True).first(),
        "processes": {report.process: report.versions for report in _alive()},
    }


def report_ring(process: str) -> None:
    """A running process says which versions it has; call it every few seconds."""
    versions = [] if master_key.is_missing() else sorted(master_key.ring().versions)
    fresh = {"versions": versions, "seen_at": timezone.now()}
    RingReport.objects.update_or_create(process=process, defaults=fresh)
    RingReport.objects.filter(seen_at__lt=timezone.now() - 60 * ALIVE).delete()


def running() -> list[str]:
    """The web processes that reported within the last minute."""
    return [report.process for report in _alive()]


def _sealed() -> ApiKeyQuerySet:
    return ApiKey.objects.with_seal().exclude(wrapped_dek=None)


def _work(version: int) -> ApiKeyQuerySet:
    """What is left to do."""
    return _sealed().exclude(kek_version=version)


def _batches(version: int, size: int, limit: int | None) -> Iterator[list[ApiKey]]:
    """The rows to move, each once in a run: one that does not open must not come up for ever."""
    rows = list(_work(version).order_by("pk")[: _size(size, limit)])
    while rows:
        yield rows
        limit = None if limit is None else limit - len(rows)
        rest = _work(version).filter(pk__gt=rows[-1].pk).order_by("pk")
        rows = list(rest[: _size(size, limit)])


def _size(batch: int, limit: int | None) -> int:
    return batch if limit is None else min(batch, limit)


def _move(row: ApiKey, ring: Ring, version: int, *, reseal: bool) -> str:
    before, binding = sealed_of(row), binding_of(row)
    try:
        after = _moved(before, binding, ring, version, reseal=reseal)
    except SealBroken:
        key_versions.confirm(ring, row.kek_version or 0)
        return "broken"
    same = ApiKey.objects.filter(pk=row.pk, wrapped_dek=before.wrapped_dek)
    return "moved" if same.update(**columns_of(after)) else "overtaken"


def _moved(
    before: SealedKey, binding: vault.Binding, ring: Ring, version: int, *, reseal: bool
) -> SealedKey:
    if reseal:
        return vault.reseal(before, binding, ring, version, to=binding)
    return vault.rewrap(before, binding, ring, version)


def _rewrap_root(ring: Ring, version: int) -> None:
    for row in RootKey.objects.exclude(kek_version=version):
        wrapped = key_versions.wrap_root(key_versions.open_root(row, ring), ring, version)
        same = RootKey.objects.filter(pk=row.pk, wrapped=row.wrapped)
        same.update(wrapped=wrapped, kek_version=version)


def _active() -> int:
    active = MasterKeyVersion.objects.filter(active=True).first()
    if active is None:
        raise RotationRefused("nothing is sealed yet")
    return active.version


def _note_emptied() -> None:
    unneeded = MasterKeyVersion.objects.exclude(version__in=key_versions.needed_versions())
    unneeded.filter(emptied_at=None).update(emptied_at=timezone.now())


def _alive() -> list[RingReport]:
    return list(RingReport.objects.filter(seen_at__gt=timezone.now() - ALIVE).order_by("process"))


def _refuse_unless_everywhere(version: int) -> None:
    lacking = [report.process for report in _alive() if version not in report.versions]
    if lacking:
        raise RotationRefused(f"version {version} is not yet known to {', '.join(lacking)}")


def _record(step: str, **facts: object) -> None:
    audit.record(audit.Tag.ROTATION, actor=None, data={"step": step, **facts})
