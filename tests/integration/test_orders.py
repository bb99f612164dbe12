"""Orders against the real sandbox exchange: what is known afterwards is what is true there."""

from decimal import Decimal
from typing import Any

import pytest

from market.models import OrderIntent, OrderState
from market.orders import cancel_all, cancel_order, update_order
from tests.trading import SUBMIT, Desk


def test_an_order_is_placed_changed_and_cancelled(desk: Desk):
    intent = desk.place()
    assert intent.state == OrderState.ACCEPTED
    [order] = desk.orders()
    number: int = order["id"]
    assert (order["cid"], number) == (intent.cid, intent.order_id)
    assert (Decimal(order["amount"]), Decimal(order["price"])) == (Decimal("0.01"), Decimal(20_000))
    own: dict[str, Any] = {"user": desk.owner, "key": desk.key}

    changed = update_order(**own, order_id=number, price=Decimal(21_000))
    assert changed.state == "changed", changed
    assert Decimal(desk.orders()[0]["price"]) == 21_000

    cancelled = cancel_order(**own, order_id=number)
    assert cancelled.state == "requested", cancelled
    assert desk.cids(active=True) == []
    assert cancel_order(**own, order_id=number).state == "gone"
    assert cancel_all(**own).state == "requested"


@pytest.mark.parametrize(
    ("fault", "state", "placed"),
    [
        ({"kind": "lost"}, OrderState.ACCEPTED, 1),
        ({"kind": "lost", "before": True}, OrderState.NOT_PLACED, 0),
        ({"kind": "status", "status": 502}, OrderState.ACCEPTED, 1),
        ({"kind": "truncate"}, OrderState.ACCEPTED, 1),
        ({"kind": "cut"}, OrderState.ACCEPTED, 1),
        ({"kind": "body", "body": ""}, OrderState.ACCEPTED, 1),
        ({"kind": "error", "code": 10001, "text": "amount: invalid"}, OrderState.REJECTED, 0),
    ],
)
def test_a_faulty_reply_ends_in_the_truth(desk: Desk, fault, state: OrderState, placed: int):
    desk.exchange.fault(**fault, endpoint=SUBMIT)
    intent = desk.place()
    assert (intent.state, len(desk.orders())) == (state, placed), intent.reason
    assert len(desk.sent(SUBMIT)) == 1
    assert OrderIntent.objects.get(pk=intent.pk).state == state
