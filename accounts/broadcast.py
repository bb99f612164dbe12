"""What the sockets of a person are told. Only that something changed, never what: who hears it
looks it up for himself, so a lost or doubled message does no harm."""

import hashlib
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

log = structlog.get_logger(__name__)


def user_group(user: int) -> str:
    return f"u.{user}"


def session_group(session_key: str) -> str:
    """The key itself opens the session, so it never crosses the layer."""
    return f"s.{hashlib.sha256(session_key.encode()).hexdigest()}"


def tell_keys_changed(user: int) -> None:
    _send(user_group(user), {"type": "keys.changed"})


def tell_orders_changed(user: int) -> None:
    _send(user_group(user), {"type": "orders.changed"})


def tell_check_sessions(user: int) -> None:
    """Something ended sessions of this person: each socket asks whether its own is among them."""
    _send(user_group(user), {"type": "session.check"})


def tell_session_ended(session_key: str) -> None:
    _send(session_group(session_key), {"type": "session.ended"})


def _send(group: str, message: dict[str, Any]) -> None:
    """Never fails the act that it tells of: every socket also looks by itself."""
    try:
        async_to_sync(get_channel_layer().group_send)(group, message)
    except Exception as error:  # noqa: BLE001  each layer has its own for "away"
        log.warning("not told", group=group, problem=type(error).__name__)
