"""What may not be sent as an order."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from market.bitfinex import orders
from market.bitfinex.orders import ORDER_TYPES, Flag, NewOrder, OrderInvalid

PRICES = ("price", "price_trailing", "price_aux_limit", "price_oco_stop")
NEEDED = {
    "MARKET": set[str](),
    "LIMIT": {"price"},
    "STOP": {"price"},
    "STOP LIMIT": {"price", "price_aux_limit"},
    "TRAILING STOP": {"price_trailing"},
    "FOK": {"price"},
    "IOC": {"price"},
}
BERLIN = timezone(timedelta(hours=1))
SOON = datetime(2029, 12, 31, 23, 59, 59, 999, tzinfo=UTC)


def order(**changed: Any) -> NewOrder:
    wanted: dict[str, Any] = {
        "symbol": "tBTCUSD",
        "side": "buy",
        "order_type": "EXCHANGE LIMIT",
        "amount": Decimal("0.1"),
        "price": Decimal(20000),
    }
    return NewOrder(**(wanted | changed))


def refusal(make: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
    with pytest.raises(OrderInvalid) as caught:
        make(*args, **kwargs)
    assert str(caught.value) == f"{caught.value.field}: {caught.value.reason}"
    return caught.value.field, caught.value.reason


@pytest.mark.parametrize("order_type", ORDER_TYPES)
@pytest.mark.parametrize("name", PRICES)
def test_a_type_has_the_prices_it_needs_and_no_other(order_type: str, name: str):
    needed = NEEDED[order_type.removeprefix("EXCHANGE ")]
    given = {one: Decimal(5) if one in needed else None for one in PRICES}
    assert order(order_type=order_type, **given).order_type == order_type
    wrong = given | {name: None if name in needed else Decimal(5)}
    why = "missing" if name in needed else "unexpected"
    assert refusal(order, order_type=order_type, **wrong) == (name, why)


def test_a_stop_price_belongs_to_an_oco_and_an_oco_to_its_stop_price():
    assert refusal(order, flags=Flag.OCO) == ("price_oco_stop", "missing")
    assert refusal(order, price_oco_stop=Decimal(19000)) == ("price_oco_stop", "unexpected")


@pytest.mark.parametrize("name", ["amount", *PRICES])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.1, "kind"),
        (1, "kind"),
        (True, "kind"),
        ("1", "kind"),
        (b"1", "kind"),
        (Decimal(0), "not positive"),
        (Decimal("-0"), "not positive"),
        (Decimal("0E+500000"), "not positive"),
        (Decimal(-1), "not positive"),
        (Decimal("NaN"), "not finite"),
        (Decimal("sNaN"), "not finite"),
        (Decimal("Infinity"), "not finite"),
        (Decimal("0.123456789"), "decimals"),
        (Decimal("1E-9"), "decimals"),
        (Decimal("1E-999999"), "decimals"),
        (Decimal("1E+12"), "range"),
        (Decimal("1E+999999"), "range"),
    ],
)
def test_money_is_a_finite_positive_decimal_of_eight_decimals(name: str, value: Any, reason: str):
    order_type = {"price_trailing": "TRAILING STOP", "price_aux_limit": "STOP LIMIT"}.get(
        name, "LIMIT"
    )
    needed = NEEDED[order_type] | ({"price_oco_stop"} if name == "price_oco_stop" else set())
    flags = Flag.OCO if name == "price_oco_stop" else Flag(0)
    given: dict[str, Any] = {one: Decimal(5) if one in needed else None for one in PRICES}
    given |= {"order_type": order_type, "flags": flags, name: value}
    assert refusal(order, **given) == (name, reason)


@pytest.mark.parametrize(
    ("price", "kept"),
    [
        ("123456", "123450"),
        ("1.00009", "1"),
        ("0.00123456", "0.0012345"),
        ("100000.1", "100000"),
        ("0.00000123", "0.00000123"),
        ("99999", "99999"),
        ("60123.4", "60123"),
    ],
)
def test_the_exchange_keeps_five_significant_digits_of_a_price(price: str, kept: str):
    given = order(price=Decimal(price))
    assert given.price == Decimal(price)
    assert orders.cut_price(Decimal(price)) == Decimal(kept)
    assert orders.cut_order(given) == order(price=Decimal(kept))


@pytest.mark.parametrize("symbol", ["fUSD", "BTCUSD", "tbtcusd", "tBTCUSD/x", "", None, 5])
def test_only_pairs_are_ordered(symbol: Any):
    assert refusal(order, symbol=symbol) == ("symbol", "unknown")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("side", "BUY", "unknown"),
        ("side", None, "unknown"),
        ("order_type", "limit", "unknown"),
        ("order_type", "EXCHANGE  LIMIT", "unknown"),
        ("flags", 64, "kind"),
        ("flags", Flag(2), "unknown"),
        ("flags", Flag(64 + 2), "unknown"),
        ("flags", Flag(-1), "unknown"),
        ("gid", "1", "kind"),
        ("gid", True, "kind"),
        ("gid", -1, "range"),
        ("gid", 2**31, "range"),
        ("tif", "2030-01-01 00:00:00", "kind"),
        ("tif", date(2030, 1, 1), "kind"),
        ("tif", SOON.replace(tzinfo=None), "not utc"),
        ("tif", SOON.replace(tzinfo=BERLIN), "not utc"),
        ("leverage", 1.0, "kind"),
        ("leverage", 0, "range"),
        ("leverage", 101, "range"),
        ("leverage", 10, "derivatives only"),
    ],
)
def test_a_value_that_the_exchange_does_not_know_is_refused(field: str, value: Any, reason: str):
    assert refusal(order, **{field: value}) == (field, reason)


@pytest.mark.parametrize("symbol", ["tBTCUSD", "tBTCF0USD", "tBTCF0:USD", "tF0:F0X"])
def test_leverage_is_for_derivatives(symbol: str):
    field = refusal(order, symbol=symbol, order_type="LIMIT", leverage=5)
    assert field == ("leverage", "derivatives only")


def test_leverage_is_not_for_the_exchange_wallet():
    assert refusal(order, symbol="tBTCF0:USTF0", leverage=5) == ("leverage", "derivatives only")
    assert order(symbol="tBTCF0:USTF0", order_type="LIMIT", leverage=5).leverage == 5


def test_an_order_says_its_sign_its_wallet_and_its_basic_type():
    sale = order(side="sell")
    assert (sale.signed_amount, sale.is_margin, sale.basic_type) == (
        Decimal("-0.1"),
        False,
        "LIMIT",
    )
    stop = order(order_type="STOP LIMIT", price_aux_limit=Decimal(1))
    assert (stop.signed_amount, stop.is_margin, stop.basic_type) == (
        Decimal("0.1"),
        True,
        "STOP LIMIT",
    )


def test_the_end_of_an_order_is_told_in_whole_seconds_of_utc():
    assert '"tif":"2029-12-31 23:59:59"' in orders.submit(order(tif=SOON), 7).body


@pytest.mark.parametrize("cid", [0, -1, 2**45, "7", 7.0, True])
def test_a_client_id_lies_within_what_the_exchange_keeps(cid: Any):
    assert refusal(orders.submit, order(), cid)[0] == "cid"
    assert refusal(orders.cancel_by_cid, cid, date(2026, 1, 1))[0] == "cid"
    assert f'"cid":{2**45 - 1}' in orders.submit(order(), 2**45 - 1).body


# --- Updates and cancels --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ("update", "missing")),
        ({"amount": Decimal(0)}, ("amount", "zero")),
        ({"amount": 1}, ("amount", "kind")),
        ({"amount": Decimal("NaN")}, ("amount", "not finite")),
        ({"amount": Decimal("-1E-9")}, ("amount", "decimals")),
        ({"amount": Decimal("-1E+12")}, ("amount", "range")),
        ({"price": Decimal(-1)}, ("price", "not positive")),
        ({"price": 1.5}, ("price", "kind")),
        ({"price_aux_limit": "1"}, ("price_aux_limit", "kind")),
        ({"flags": 64}, ("flags", "kind")),
        ({"flags": Flag(2)}, ("flags", "unknown")),
        ({"tif": SOON.replace(tzinfo=None)}, ("tif", "not utc")),
        ({"leverage": 0}, ("leverage", "range")),
    ],
)
def test_an_update_is_as_strict_as_a_new_order(changes: dict[str, Any], reason: Any):
    assert refusal(orders.update, 5, **changes) == reason


@pytest.mark.parametrize("number", [0, -5, "5", 5.0, True, None, 2**53])
def test_an_order_id_is_a_positive_whole_number(number: Any):
    assert refusal(orders.cancel, number)[0] == "order_id"
    assert refusal(orders.update, number, price=Decimal(1))[0] == "order_id"
    assert refusal(orders.cancel_many, ids=[number])[0] == "order_id"


def test_cancelling_nothing_is_not_cancelling_everything():
    assert refusal(orders.cancel_many) == ("ids", "missing")


@pytest.mark.parametrize("day", ["2026-01-01", SOON, None])
def test_the_day_of_a_client_id_is_a_date(day: Any):
    assert refusal(orders.cancel_by_cid, 7, day) == ("cid_date", "kind")
    assert refusal(orders.cancel_many, cids=[(7, day)]) == ("cid_date", "kind")


@pytest.mark.parametrize(
    ("request_", "path", "body"),
    [
        (orders.cancel(5), "cancel", '{"id":5}'),
        (
            orders.cancel_by_cid(7, date(2026, 3, 1)),
            "cancel",
            '{"cid":7,"cid_date":"2026-03-01"}',
        ),
        (orders.cancel_many(ids=[5, 6]), "cancel/multi", '{"id":[5,6]}'),
        (
            orders.cancel_many(ids=[5], cids=[(7, date(2026, 3, 1)), (8, date(2026, 3, 2))]),
            "cancel/multi",
            '{"id":[5],"cid":[[7,"2026-03-01"],[8,"2026-03-02"]]}',
        ),
        (orders.cancel_all(), "cancel/multi", '{"all":1}'),
        (orders.update(5, amount=Decimal("-1E-8")), "update", '{"id":5,"amount":"-0.00000001"}'),
        (
            orders.update(
                5,
                amount=Decimal("0.2"),
                price=Decimal("2E+4"),
                price_trailing=Decimal("1.5"),
                price_aux_limit=Decimal(19990),
                flags=Flag(0),
                tif=SOON,
                leverage=3,
            ),
            "update",
            '{"id":5,"amount":"0.2","price":"20000","price_trailing":"1.5",'
            '"price_aux_limit":"19990","flags":0,"tif":"2029-12-31 23:59:59","lev":3}',
        ),
    ],
)
def test_a_change_has_a_body_and_a_budget(request_: Any, path: str, body: str):
    assert (request_.path, request_.scope) == (f"auth/w/order/{path}",) * 2
    assert request_.body == body
