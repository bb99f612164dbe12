import pytest

from market.bitfinex import account, rest
from market.bitfinex.errors import RateLimited, Rejected, Unreadable


def notification(data: str, status: str, text: str = "", code: str = "null") -> bytes:
    return f'[1700000000000,"oc_multi-req",null,null,{data},{code},"{status}","{text}"]'.encode()


def test_permissions_are_read_by_position_and_appended_fields_ignored():
    request = account.permissions()
    rows = rest.parse(request, 200, b'[["orders",1,0,null],["withdraw",0,1]]')
    assert [(row.scope, row.read, row.write) for row in rows] == [
        ("orders", 1, 0),
        ("withdraw", 0, 1),
    ]
    assert (request.method, request.host, request.body) == ("POST", "auth", "{}")


def test_cancel_all_tells_how_many_orders_were_told_to_end():
    request = account.cancel_all_orders()
    assert request.body == '{"all":1}'
    assert rest.parse(request, 200, notification("[[1],[2]]", "SUCCESS")) == 2
    assert rest.parse(request, 200, notification("null", "SUCCESS")) == 0


def test_a_refusal_may_come_with_http_200():
    request = account.cancel_all_orders()
    with pytest.raises(Rejected) as caught:
        rest.parse(request, 200, notification("null", "ERROR", "Order not found."))
    assert (caught.value.code, caught.value.text) == (10001, "Order not found.")
    with pytest.raises(RateLimited):
        rest.parse(request, 200, notification("null", "ERROR", "ratelimit: error", "11010"))


def test_a_body_that_is_no_notification_leaves_the_outcome_unknown():
    with pytest.raises(Unreadable):
        rest.parse(account.cancel_all_orders(), 200, b"[1]")
