"""How account values are spelled, and how a call is refused."""

from decimal import Decimal
from typing import Any, NamedTuple

import msgspec


class Denied(Exception):
    """An account call is refused: the exchange's error code and text, sent with HTTP 500."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


class Notice(NamedTuple):
    """Something a customer's sockets are told: the code of channel 0 and the row."""

    user: str
    code: str
    row: Any


def encode(value: Any) -> str:
    """JSON text of rows of money. A Decimal becomes the number JavaScript would write."""
    return msgspec.json.encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
