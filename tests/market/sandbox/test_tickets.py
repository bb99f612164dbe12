from decimal import Decimal
from typing import Any

import pytest

from market.sandbox.orders import BASIC, KINDS
from market.sandbox.tickets import (
    MAX_CID,
    MAX_GID,
    cut,
    day_of,
    read_change,
    read_ticket,
    within_day,
)
from market.sandbox.wire import Denied

NOW = 1_790_134_414.85
PRICES = {
    "LIMIT": {"price": "50000"},
    "FOK": {"price": "50000"},
    "IOC": {"price": "50000"},
    "STOP": {"price": "50000"},
    "MARKET": {},
    "STOP LIMIT": {"price": "50000", "price_aux_limit": "49000"},
    "TRAILING STOP": {"price_trailing": "100"},
}


def body(kind: str = "EXCHANGE LIMIT", **more: Any) -> dict[str, Any]:
    basic = kind.removeprefix("EXCHANGE ")
    return {"type": kind, "symbol": "tBTCUSD", "amount": "0.1", **PRICES[basic], **more}


def refusal(given: dict[str, Any]) -> str:
    with pytest.raises(Denied) as denied:
        read_ticket(given, NOW)
    assert denied.value.code == 10001
    return denied.value.text


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_needs_its_own_fields(kind: str) -> None:
    given = body(kind)
    ticket = read_ticket(given, NOW)

    assert ticket.kind == kind
    for name in PRICES[kind.removeprefix("EXCHANGE ")]:
        assert refusal({**given, name: None}) == f"{name}: invalid"
        assert refusal({**given, name: "0"}) == f"{name}: invalid"
    assert refusal({**given, "amount": "0"}) == "amount: invalid"


def test_there_are_fourteen_types() -> None:
    assert len(KINDS) == 14
    assert set(PRICES) == set(BASIC)
    assert refusal({**body(), "type": "EXCHANGE LIMITED"}) == "type: invalid"


@pytest.mark.parametrize(
    "amount",
    [
        "NaN",
        "Infinity",
        "1e3",
        "1_000",
        "١",
        "",
        " 1",
        "+1",
        "0x1",
        "0.000000001",
        None,
        True,
        [],
        {},
    ],
)
def test_an_amount_is_a_plain_decimal(amount: object) -> None:
    assert refusal({**body(), "amount": amount}) == "amount: invalid"


@pytest.mark.parametrize(
    ("given", "read"),
    [("-0.1", "-0.1"), (0.1, "0.1"), (1, "1"), (1e-7, "0.0000001"), ("0.123456789", "0.12345678")],
)
def test_text_and_numbers_are_read_exactly(given: Any, read: str) -> None:
    assert read_ticket({**body(), "amount": given}, NOW).amount == Decimal(read)


@pytest.mark.parametrize(
    ("price", "kept"),
    [("58630.55", "58630"), ("123456.7", "123450"), ("0.0000123456789", "0.00001234"),
     ("1.23456", "1.2345"), ("5e", None), ("100", "100"), ("0.000000001", None)],
)  # fmt: skip
def test_a_price_keeps_five_digits_and_eight_decimals(price: str, kept: str | None) -> None:
    if kept is None:
        assert refusal(body(price=price)) == "price: invalid"
    else:
        assert read_ticket(body(price=price), NOW).price == Decimal(kept)
    assert cut(Decimal(0)) == 0


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("cid", [0, MAX_CID, "12"], [MAX_CID + 1, -1, 1.5, "x", True, 1513970684865000]),
        ("gid", [0, MAX_GID], [MAX_GID + 1, -1]),
        ("lev", [1, 100, "10"], [0, 101]),
        ("flags", [0, 64, 4096, 64 + 4096, 1024], [1, 1 << 30, 64.0]),
    ],
)
def test_whole_numbers_have_bounds(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert getattr(read_ticket(body(**{name: value}), NOW), name) == int(value)
    for value in bad:
        assert refusal(body(**{name: value})) == f"{name}: invalid"


@pytest.mark.parametrize(
    ("kind", "flags"), [("EXCHANGE MARKET", 4096), ("STOP", 16384), ("STOP", 512), ("IOC", 4096)]
)
def test_a_flag_fits_its_type(kind: str, flags: int) -> None:
    assert refusal(body(kind, flags=flags)) == "flags: invalid"


def test_an_oco_needs_its_stop_and_a_close_no_amount() -> None:
    assert refusal(body(flags=16384)) == "price_oco_stop: invalid"
    assert read_ticket(body(flags=16384, price_oco_stop="40000"), NOW).oco == 40000
    assert read_ticket({**body("MARKET", flags=512), "amount": "0"}, NOW).amount == 0


def test_time_in_force_is_utc_and_lies_ahead() -> None:
    assert read_ticket(body(tif="2026-09-24 00:00:01"), NOW).tif == 1_790_208_001_000
    assert read_ticket(body(tif="2030-01-01"), NOW).tif == 1_893_456_000_000
    for tif in ("2020-01-01 10:45:23", "soon", 5):
        assert refusal(body(tif=tif)) == "tif: invalid"


def test_meta_is_an_object() -> None:
    assert read_ticket(body(meta={"aff_code": "x"}), NOW).meta == {"aff_code": "x"}
    assert refusal(body(meta="x")) == "meta: invalid"


def test_a_change_leaves_out_what_stays() -> None:
    change = read_change({"id": 5, "price": "49000", "delta": "-0.01"}, NOW)

    assert (change.price, change.delta, change.amount) == (Decimal(49000), Decimal("-0.01"), None)


def test_a_cid_belongs_to_a_utc_day() -> None:
    day = day_of("2026-09-23")

    assert within_day(day, day)
    assert within_day(day + 86_399_999, day)
    assert not within_day(day + 86_400_000, day)
    for text in ("23.9.2026", "", None, "2026-02-30"):
        with pytest.raises(Denied, match="cid_date: invalid"):
            day_of(text)
