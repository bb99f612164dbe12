"""Bodies of submits, byte for byte: `tests/golden/order_bodies.jsonl`, one order a line."""

from datetime import datetime
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from market.bitfinex import orders
from market.bitfinex.orders import ORDER_TYPES, Flag, NewOrder, OrderInvalid

GOLDEN = Path(__file__).parents[2] / "golden" / "order_bodies.jsonl"
NEEDED = {
    "MARKET": {},
    "LIMIT": {"price": Decimal(20000)},
    "STOP": {"price": Decimal(19500)},
    "STOP LIMIT": {"price": Decimal(19500), "price_aux_limit": Decimal(19490)},
    "TRAILING STOP": {"price_trailing": Decimal("125.5")},
    "FOK": {"price": Decimal("0.00012345")},
    "IOC": {"price": Decimal(21000)},
}
SUMS = [Flag(sum(some)) for n in range(7) for some in combinations(Flag, n)]


class Line(msgspec.Struct):
    order: dict[str, Any]
    cid: int
    body: msgspec.Raw


def lines() -> list[Line]:
    return [msgspec.json.decode(text, type=Line) for text in GOLDEN.read_bytes().splitlines()]


def made(fields: dict[str, Any]) -> NewOrder:
    """The order of a line: numbers are text there, as people type them."""
    money = {k: Decimal(v) for k, v in fields.items() if k.startswith(("amount", "price"))}
    flags = Flag(fields.get("flags", 0))
    tif = datetime.fromisoformat(fields["tif"]) if "tif" in fields else None
    return NewOrder(**fields | money | {"flags": flags, "tif": tif})


@pytest.mark.parametrize("line", lines(), ids=lambda line: str(line.cid))
def test_a_body_is_written_as_it_stands_in_the_golden_file(line: Line):
    request = orders.submit(made(line.order), line.cid)
    assert request.body.encode() == bytes(line.body)
    assert (request.path, request.method, request.host) == (
        "auth/w/order/submit",
        "POST",
        "auth",
    )


def refused_for(order_type: str, flags: Flag) -> str:
    """The field for which such an order is refused; nothing when it is not."""
    fields: dict[str, Any] = dict(NEEDED[order_type.removeprefix("EXCHANGE ")])
    if Flag.OCO in flags:
        fields["price_oco_stop"] = Decimal(18000)
    try:
        NewOrder("tBTCUSD", "buy", order_type, Decimal(1), flags=flags, **fields)
    except OrderInvalid as invalid:
        return invalid.field
    return ""


def test_the_golden_file_has_every_combination_that_is_allowed_and_all_others_are_refused():
    golden = {(line.order["order_type"], line.order.get("flags", 0)) for line in lines()}
    found = {(kind, int(flags)): refused_for(kind, flags) for kind in ORDER_TYPES for flags in SUMS}
    assert {one for one, field in found.items() if not field} == golden
    assert set(found.values()) == {"", "flags"}
    assert (len(golden), len(found)) == (180, 14 * 64)


def test_there_are_fourteen_types():
    assert len(set(ORDER_TYPES)) == len(ORDER_TYPES) == 14
