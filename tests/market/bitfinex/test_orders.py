import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from market.bitfinex import orders, rest
from market.bitfinex.account import Order
from market.bitfinex.errors import NonceRefused, RateLimited, Rejected, Unreadable
from market.bitfinex.orders import Flag, NewOrder
from tests.market.bitfinex.answers import notified, row


def limit(**changed: Any) -> NewOrder:
    wanted: dict[str, Any] = {
        "symbol": "tBTCUSD",
        "side": "buy",
        "order_type": "EXCHANGE LIMIT",
        "amount": Decimal("0.1"),
        "price": Decimal(20000),
    }
    return NewOrder(**(wanted | changed))


# --- Answers --------------------------------------------------------------------------------------
def test_a_submit_gives_the_order_that_was_accepted():
    [order] = rest.parse(orders.submit(limit(), 7), 200, notified("on-req", [row()]))
    assert (order.id, order.cid, order.side) == (33950998275, 7, "buy")


@pytest.mark.parametrize(
    "data",
    [
        [],
        None,
        row(),
        [row(_2=8)],
        [row(_2=None)],
        [row(_0=None)],
        [row(_3="tETHUSD")],
        [row(), row(_2=8)],
        [row(), row(_3="tETHUSD")],
        [row(), row()],
    ],
)
def test_a_success_that_speaks_of_another_order_leaves_the_outcome_unknown(data: Any):
    with pytest.raises(Unreadable):
        rest.parse(orders.submit(limit(), 7), 200, notified("on-req", data))


def test_the_stop_of_an_oco_follows_its_limit_and_has_a_client_id_of_its_own():
    order = limit(flags=Flag.OCO, price_oco_stop=Decimal(19000))
    stop = row(_0=2, _2=99, _8="EXCHANGE STOP")
    for data in ([row(), stop], [stop, row()]):
        rows = rest.parse(orders.submit(order, 7), 200, notified("on-req", data))
        assert [one.cid for one in rows] == [7, 99]
    assert len(rest.parse(orders.submit(order, 7), 200, notified("on-req", [row()]))) == 1


def test_cancel_all_gives_the_orders_that_were_told_to_end():
    request = orders.cancel_all()
    assert request.body == '{"all":1}'
    body = notified("oc_multi-req", [row(), row(_0=2)])
    assert [order.id for order in rest.parse(request, 200, body)] == [33950998275, 2]
    assert rest.parse(request, 200, notified("oc_multi-req", None)) == []


@pytest.mark.parametrize("status", ["ERROR", "FAILURE"])
def test_a_refusal_may_come_with_http_200(status: str):
    body = notified("oc_multi-req", None, status, "Order not found.")
    with pytest.raises(Rejected) as caught:
        rest.parse(orders.cancel_all(), 200, body)
    assert (caught.value.code, caught.value.text) == (10001, "Order not found.")


def test_a_refusal_with_a_code_is_the_error_of_that_code():
    submit = orders.submit(limit(), 7)
    with pytest.raises(RateLimited):
        rest.parse(submit, 200, notified("on-req", None, "ERROR", "ratelimit: error", 11010))
    with pytest.raises(NonceRefused):
        rest.parse(submit, 200, notified("on-req", None, "ERROR", "nonce: small", 10114))
    with pytest.raises(Rejected, match="10001 FAILURE"):
        rest.parse(submit, 200, notified("on-req", None, "FAILURE", None))


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        notified("on-req", [row()], "INFO"),
        notified("oc-req", [row()]),
        notified("on-req", [row()])[:-9],
    ],
)
def test_a_body_that_is_no_answer_leaves_the_outcome_unknown(body: bytes):
    with pytest.raises(Unreadable):
        rest.parse(orders.submit(limit(), 7), 200, body)


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (orders.update(33950998275, price=Decimal(1)), "ou-req"),
        (orders.cancel(33950998275), "oc-req"),
        (orders.cancel_by_cid(7, date(2026, 3, 1)), "oc-req"),
    ],
)
def test_an_answer_about_another_order_is_not_believed(request_: rest.Request[Order], kind: str):
    assert rest.parse(request_, 200, notified(kind, row())).id == 33950998275
    for data in (row(_0=1, _2=8), [row()], None, []):
        with pytest.raises(Unreadable):
            rest.parse(request_, 200, notified(kind, data))


def test_cancelled_orders_are_given_as_they_were():
    body = notified("oc_multi-req", [row(), row(_0=2)])
    assert [order.id for order in rest.parse(orders.cancel_many(ids=[2, 3]), 200, body)] == [
        33950998275,
        2,
    ]


@pytest.mark.parametrize("mts", [1700000000, 1700000000000, 1575287438.515, None])
def test_the_time_of_an_answer_may_be_in_any_unit(mts: Any):
    body = json.dumps([mts, "on-req", None, None, [row()], None, "SUCCESS", None, "appended"])
    assert len(rest.parse(orders.submit(limit(), 7), 200, body.encode())) == 1


# --- States ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("ACTIVE", "active"),
        ("ACTIVE (note:POSCLOSE)", "active"),
        ("PARTIALLY FILLED @ 578.81(-0.1)", "partially filled"),
        ("EXECUTED @ 107.6(-0.2)", "executed"),
        ("EXECUTED @ 916.2(0.78): was PARTIALLY FILLED @ 915.9(0.22)", "executed"),
        ("FORCED EXECUTED @ 1(1)", "executed"),
        ("CANCELED", "canceled"),
        ("CANCELED was: PARTIALLY FILLED @ 578.81(-0.1)", "canceled"),
        ("POSTONLY CANCELED", "canceled"),
        ("IOC CANCELED", "canceled"),
        ("FILLORKILL CANCELED", "canceled"),
        ("INSUFFICIENT MARGIN was: PARTIALLY FILLED @ 1(1)", "canceled"),
        (
            "INSUFFICIENT BALANCE (G1) was: ACTIVE (note:POSCLOSE), PARTIALLY FILLED @ 1(-1)",
            "canceled",
        ),
        ("RSN_DUST (amount is less than 0.00000001)", "other"),
        ("RSN_PAUSE (trading is paused)", "other"),
        ("SOMETHING was: ACTIVE", "other"),
        ("INACTIVE", "other"),
        ("", "other"),
    ],
)
def test_a_status_says_what_an_order_is_now(status: str, state: str):
    assert orders.order_state(status) == state
