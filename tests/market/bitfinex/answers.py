"""Answers of the exchange to order calls, as its documentation lays them out."""

import json
from typing import Any

ORDER: dict[int, Any] = {
    0: 33950998275,
    2: 7,
    3: "tBTCUSD",
    4: 1573476748000,
    5: 1573476748000,
    6: 0.1,
    7: 0.1,
    8: "EXCHANGE LIMIT",
    12: 0,
    13: "ACTIVE",
    16: 20000,
    17: 0,
    18: 0,
    19: 0,
    23: 0,
    24: 0,
    28: "API>BFX",
    31: {},
}


def row(**changed: Any) -> list[Any]:
    """An order of 32 fields; `row(_2=8)` has another value at index 2."""
    fields = ORDER | {int(place[1:]): value for place, value in changed.items()}
    return [fields.get(place) for place in range(32)]


def notified(
    kind: str, data: Any, status: str = "SUCCESS", text: str | None = "", code: int | None = None
) -> bytes:
    return json.dumps([1700000000000, kind, None, None, data, code, status, text]).encode()
