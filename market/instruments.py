"""What can be ordered: which pairs exist for which wallet, and their smallest and largest order.

From the exchange's own configuration (`market.bitfinex.rest.conf(KEYS)`): lists of pairs without
`t`, and `[PAIR, [null, null, null, SMALLEST, LARGEST, …]]` with both sizes as text (Bitfinex docs,
rest-public-conf). Pure; who asks, how often, and where the answer is kept is the caller's.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec

from market.bitfinex.symbols import is_symbol

Kind = Literal["exchange", "margin", "futures"]

KEYS = (
    "pub:list:pair:exchange",
    "pub:list:pair:margin",
    "pub:list:pair:futures",
    "pub:info:pair",
    "pub:info:pair:futures",
)

_KINDS: tuple[Kind, ...] = ("exchange", "margin", "futures")
_SIZE = re.compile(r"\d{1,18}(\.\d{1,18})?", re.ASCII)
_SMALLEST, _LARGEST = 3, 4


@dataclass(frozen=True, slots=True)
class Instrument:
    """A pair. Sizes are in its base currency, None when the exchange does not name them."""

    symbol: str
    kinds: frozenset[Kind]
    smallest: Decimal | None = None
    largest: Decimal | None = None


def read_instruments(values: Sequence[Any]) -> dict[str, Instrument]:
    """By symbol, from the values of `KEYS`. A pair of unfit name is left out, a size that is no
    number is unknown. Raises `msgspec.ValidationError` when a list of pairs is not a list at all:
    what was known before is then better.
    """
    if len(values) < len(KEYS):
        raise msgspec.ValidationError("fewer values than keys")
    lists = [msgspec.convert(value, list[str]) for value in values[: len(_KINDS)]]
    rows = [row for value in values[len(_KINDS) : len(KEYS)] for row in _rows(value)]
    kinds: dict[str, set[Kind]] = {}
    for kind, pairs in zip(_KINDS, lists, strict=True):
        for symbol in filter(is_symbol, (f"t{pair}" for pair in pairs)):
            kinds.setdefault(symbol, set()).add(kind)
    sizes = {f"t{pair}": (_size(row, _SMALLEST), _size(row, _LARGEST)) for pair, row in rows}
    return {
        symbol: Instrument(symbol, frozenset(found), *sizes.get(symbol, ()))
        for symbol, found in kinds.items()
    }


def _rows(value: Any) -> list[tuple[str, list[Any]]]:
    """None when it is something else: then no sizes are known."""
    with suppress(msgspec.ValidationError):
        return msgspec.convert(value, list[tuple[str, list[Any]]])
    return []


def _size(row: list[Any], place: int) -> Decimal | None:
    text = row[place] if len(row) > place else None
    if not isinstance(text, str) or not _SIZE.fullmatch(text):
        return None
    return Decimal(text) or None
