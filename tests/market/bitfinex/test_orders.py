from decimal import Decimal
from typing import Any

import pytest

from market.bitfinex import orders, rest
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
