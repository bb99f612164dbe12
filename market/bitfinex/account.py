"""REST calls of an account, as values (see `market.bitfinex.rest`). All are POST with a JSON body,
reads too, and must be signed.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from market.bitfinex.errors import coded
from market.bitfinex.rest import Request

T = TypeVar("T")

GENERIC_ERROR = 10001
_encode = msgspec.json.Encoder().encode


class Permission(msgspec.Struct, array_like=True, frozen=True):
    """`[SCOPE, READ, WRITE]`, the flags 0 or 1 (Bitfinex docs, rest-auth-key-permissions)."""

    scope: str
    read: int
    write: int


class Notification(msgspec.Struct, array_like=True, frozen=True):
    """`[MTS, TYPE, MESSAGE_ID, null, DATA, CODE, STATUS, TEXT]`, the answer to every write. MTS is
    in ms or in s, depending on TYPE (recorded 2024).
    """

    mts: int | float | None
    type: str
    message_id: int | None
    _unused: Any
    data: Any
    code: int | None
    status: str
    text: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCESS"


def permissions() -> Request[list[Permission]]:
    """What the key may do."""
    return _post("auth/r/permissions", msgspec.json.Decoder(list[Permission]).decode)


def cancel_all_orders() -> Request[int]:
    """Cancels every open order of the account, derivatives too; gives how many were told to end.
    Each ends a little later: their state must be read again.
    """
    decode = msgspec.json.Decoder(Notification).decode

    def read(body: bytes) -> int:
        answer = decode(body)
        if not answer.succeeded:  # a refusal may come with HTTP 200
            raise coded(answer.code or GENERIC_ERROR, answer.text or answer.status)
        return len(answer.data) if isinstance(answer.data, list) else 0

    return _post("auth/w/order/cancel/multi", read, all=1)


def _post(path: str, read: Callable[[bytes], T], **fields: Any) -> Request[T]:
    body = _encode(fields).decode()
    return Request(path, path, read, method="POST", host="auth", body=body)
