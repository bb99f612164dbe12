"""Which versions of the master key this database knows, and the keys derived for its own use."""

import hmac
import secrets

from django.conf import settings
from django.db import DatabaseError, transaction

from accounts import master_key, vault
from accounts.errors import MasterKeyError, SealBroken
from accounts.master_key import Ring
from accounts.models import ApiKey, MasterKeyVersion, RootKey

ROOT_COVERS = b"bfxdash/1 root"


def ready_ring(*, make: bool = False) -> Ring:
    """The ring of this process. A sandbox makes its master key at the first use; live only with
    `make` (`up --live`), and neither once a version is known to the database: what was sealed
    would be lost behind a new key. Raises `MasterKeyError`."""
    wanted = make or settings.BFX_EXCHANGE == "sandbox"
    if wanted and master_key.may_be_made() and not MasterKeyVersion.objects.exists():
        master_key.make()
    return master_key.ring()


def make_first() -> None:
    """For `up`, before its checks and perhaps before the first migration: makes the master key of
    a new installation, live or not. Does nothing once one is there, or was."""
    try:
        ready_ring(make=True)
    except DatabaseError:  # no tables yet, so nothing sealed
        master_key.make()
    except MasterKeyError:
        return  # the checks name what is wrong


def active_version(ring: Ring) -> int:
    """The version that wraps new secrets. Locks its row: call it in the transaction that seals.

    The first call of an installation records the ring's versions and takes the newest.
    """
    active = MasterKeyVersion.objects.select_for_update().filter(active=True)
    row = active.first() or active.first()  # the first waited for an activation, and lost its row
    if row is None:
        for version in ring.versions:
            note_version(ring, version, active=version == ring.newest)
        return ring.newest
    confirm(ring, row.version)
    return row.version


def note_version(ring: Ring, version: int, *, active: bool = False) -> MasterKeyVersion:
    value = master_key.check_value(ring.key(version))
    defaults = {"check_value": value, "active": active}
    return MasterKeyVersion.objects.get_or_create(version=version, defaults=defaults)[0]


def confirm(ring: Ring, version: int) -> None:
    """Raises `MasterKeyError` when the ring's key is not the one that this database has seen."""
    row = MasterKeyVersion.objects.filter(version=version).first()
    value = master_key.check_value(ring.key(version))
    if row is None or not hmac.compare_digest(bytes(row.check_value), value):
        raise MasterKeyError(ring.source, f"version {version} is not the key of this database")


def problems() -> list[str]:
    """What keeps this process from opening what is sealed; empty when all is well."""
    found: list[str] = []
    needed = needed_versions()
    if not needed:
        return []
    ring = master_key.ring()
    for version in sorted(needed):
        try:
            confirm(ring, version)
        except MasterKeyError as error:
            found.append(str(error))
    return found


def needed_versions() -> set[int]:
    """Those that some row is sealed with, and the one for the next."""
    sealed = ApiKey.objects.exclude(wrapped_dek=None).exclude(kek_version=None)
    needed = {version or 0 for version in sealed.values_list("kek_version", flat=True).distinct()}
    needed |= set(RootKey.objects.values_list("kek_version", flat=True))
    return needed | set(
        MasterKeyVersion.objects.filter(active=True).values_list("version", flat=True)
    )


def derived_key(label: str) -> bytes:
    """A key for one purpose of this installation; the same after a rotation of the master key."""
    ring = ready_ring()
    row = RootKey.objects.first() or _make_root(ring)
    return master_key.derived(open_root(row, ring), label)


def open_root(row: RootKey, ring: Ring) -> bytes:
    """Raises `MasterKeyError` for a wrong master key, `SealBroken` for a changed row."""
    wrapped, covers = bytes(row.wrapped), _covers(row.kek_version)
    try:
        return vault.unwrap(ring.key(row.kek_version), wrapped, covers, "the root key")
    except SealBroken:
        confirm(ring, row.kek_version)
        raise


def wrap_root(root: bytes, ring: Ring, version: int) -> bytes:
    return vault.wrap(ring.key(version), root, _covers(version))


@transaction.atomic
def _make_root(ring: Ring) -> RootKey:
    version = active_version(ring)
    wrapped = wrap_root(secrets.token_bytes(master_key.KEY_BYTES), ring, version)
    fresh = {"kek_version": version, "wrapped": wrapped}
    return RootKey.objects.get_or_create(pk=1, defaults=fresh)[0]


def _covers(version: int) -> bytes:
    return vault.joined(ROOT_COVERS, b"kek", str(version).encode())
