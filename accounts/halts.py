"""Stops: of one key, of one user, of the site. In force with the commit, on every process.

The level lies in each key's own row, where the grant looks at it: a halt in another table would
let a signer through that was waiting for the row.
"""

from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from accounts import audit, signals
from accounts.errors import NotAllowed
from accounts.key_rows import tell
from accounts.models import ApiKey, Halt, HaltLevel, User
from accounts.querysets import ApiKeyQuerySet

SITE = "site"


@transaction.atomic
def halt_keys(
    *,
    by: User | None,
    level: HaltLevel,
    reason: str,
    owner: User | None = None,
    key: ApiKey | None = None,
) -> int:
    """Halts (or with `HaltLevel.NONE` releases) one key, all keys of one user, or all keys.

    `by` is none for the host's command line. Staff halt whom they like; others their own keys,
    and they do not loosen what staff have set (`NotAllowed`). Keys that are added later are
    halted too. Returns how many keys it covers.
    """
    lock_halts()
    scope = f"key:{key.uuid}" if key else f"user:{owner.pk}" if owner else SITE
    _require_right(scope, level, by, key.owner_id if key else owner.pk if owner else None)
    fresh = {"owner": owner, "key": key, "level": level, "reason": reason, "changed_by": by}
    Halt.objects.update_or_create(scope=scope, defaults=fresh)
    covered = _covered(owner, key)
    count = apply_to(covered)
    data = {"scope": scope, "level": level.label, "reason": reason, "keys": count}
    audit.record(audit.Tag.HALTED, actor=by, about=key or owner, data=data)
    for each in covered:
        tell(signals.key_changed, each)
    return count


def lock_halts() -> None:
    """Taken by whoever changes a halt or adds a key, so that no new key slips past a halt."""
    if not Halt.objects.select_for_update().filter(scope=SITE):
        Halt.objects.get_or_create(scope=SITE)
        Halt.objects.select_for_update().get(scope=SITE)


def apply_to(keys: ApiKeyQuerySet) -> int:
    """Writes into each row the highest level that covers it."""
    covers = Q(scope=SITE) | Q(owner=OuterRef("owner")) | Q(key=OuterRef("pk"))
    highest = Halt.objects.filter(covers).order_by("-level").values("level")[:1]
    return keys.update(halt=Coalesce(Subquery(highest), HaltLevel.NONE.value))


def _require_right(scope: str, level: HaltLevel, by: User | None, owner: int | None) -> None:
    if by is None or by.is_staff:
        return
    if by.pk != owner:
        raise NotAllowed("halt the keys of others")
    former = Halt.objects.filter(scope=scope).first()
    if former and former.level > level and former.changed_by_id != by.pk:
        raise NotAllowed("release what staff have halted")


def _covered(owner: User | None, key: ApiKey | None) -> ApiKeyQuerySet:
    living = ApiKey.objects.filter(revoked_at=None)
    if key:
        return living.filter(pk=key.pk)
    return living.filter(owner=owner) if owner else living
