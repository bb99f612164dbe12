"""What the exchange says about a key, and what follows from it.

A key that is new becomes usable, or is wiped and refused; a key in use is disarmed or marked.
"""

import structlog
from django.conf import settings
from django.utils import timezone

from accounts import audit, exchange, signals
from accounts.audit import Tag
from accounts.errors import (
    ExchangeUnavailable,
    KeyBusy,
    KeyRefused,
    KeyRejected,
    KeyUnusable,
)
from accounts.key_rows import change, locked, tell
from accounts.models import ApiKey, KeyState
from accounts.permissions import Permissions
from accounts.sealed_rows import WIPED

log = structlog.get_logger(__name__)

TEXT_LENGTH = 200  # of what the exchange says, in the audit trail


def check_key(*, key: ApiKey) -> ApiKey:
    """Asks the exchange what this key may do, and notes the answer. Returns the row as it is then,
    unchanged when the exchange could not be asked (no answer, a halt of all signing).

    Raises `KeyRefused` when a key that was never usable is not to become so.
    """
    try:
        permissions = exchange.backend().permissions(key)
    except KeyRejected as error:
        note_rejection(key=key, code=error.code, text=error.text)
    except (ExchangeUnavailable, KeyBusy, KeyUnusable) as error:
        log.warning("permissions not checked", key=str(key.uuid), problem=str(error))
    else:
        note_permissions(key=key, permissions=permissions)
    return ApiKey.objects.get(pk=key.pk)


def note_permissions(*, key: ApiKey, permissions: Permissions) -> None:
    """Notes what the exchange lets the key do.

    A key that could withdraw is wiped and refused (`KeyRefused`) when it is new; later, when the
    scope has grown at the exchange, it is disarmed.
    """
    unwanted = permissions.withdraws and not settings.BFX_WITHDRAWALS
    with locked(key) as row:
        is_new = row.state == KeyState.UNVERIFIED and not row.is_revoked
        if is_new and unwanted:
            _refuse(row, "withdraw")
        elif is_new:
            _verify(row, permissions)
        elif row.permissions != permissions:
            _change_scopes(row, permissions, disarm=unwanted)
        else:
            ApiKey.objects.filter(pk=row.pk).update(scopes_at=timezone.now())
    if is_new and unwanted:
        raise KeyRefused("withdraw")


def note_rejection(*, key: ApiKey, code: int, text: str) -> None:
    """The exchange refuses the key itself: wiped and `KeyRefused` when it is new, else disarmed
    and marked, so that nothing keeps asking."""
    with locked(key) as row:
        is_new = row.state == KeyState.UNVERIFIED and not row.is_revoked
        data = {"code": code, "text": text[:TEXT_LENGTH]}
        if is_new:
            _refuse(row, "rejected", **data)
        elif row.state == KeyState.USABLE and not row.is_revoked:
            audit.record(Tag.KEY_REJECTED, actor=None, about=row, outcome="failed", data=data)
            change(row, state=KeyState.REJECTED, armed_until=None)
    if is_new:
        raise KeyRefused("rejected", text)


def _verify(row: ApiKey, permissions: Permissions) -> None:
    data = {"scopes": permissions.scopes}
    fresh = {"scopes": permissions.scopes, "scopes_at": timezone.now()}
    change(row, state=KeyState.USABLE, **fresh)
    tell(signals.key_added, row)
    audit.record(Tag.KEY_VERIFIED, actor=None, about=row, data=data)


def _refuse(row: ApiKey, reason: str, **seen: object) -> None:
    """Wiped; the same key may be tried again once it is mended at the exchange."""
    change(row, state=KeyState.REFUSED, fingerprint=None, **WIPED)
    data = {"reason": reason, **seen}
    audit.record(Tag.KEY_REFUSED, actor=None, about=row, outcome="refused", data=data)


def _change_scopes(row: ApiKey, permissions: Permissions, *, disarm: bool) -> None:
    armed_until = None if disarm else row.armed_until
    fresh = {"scopes": permissions.scopes, "scopes_at": timezone.now()}
    change(row, armed_until=armed_until, **fresh)
    data = {"before": row.scopes, "after": permissions.scopes, "disarmed": disarm}
    audit.record(Tag.KEY_PERMISSIONS, actor=None, about=row, data=data)
