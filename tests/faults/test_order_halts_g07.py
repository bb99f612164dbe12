"""G7 with real orders: a halt of orders stops placing at once and lets cancels through; a
revocation first cancels what is open when asked to, and then nothing is signed any more."""

from typing import Any

import pytest

from accounts import keys, signer
from accounts.errors import KeyHalted, KeyRevoked
from accounts.exchange import Cancelled
from accounts.models import ApiKey, HaltLevel
from market.models import OrderIntent, OrderState
from market.orders import cancel_all, cancel_order
from tests.trading import SUBMIT, Desk


def test_g07_under_a_halt_of_orders_cancels_pass_and_orders_do_not(desk: Desk):
    first, second = desk.place(), desk.place()
    keys.halt_keys(by=None, level=HaltLevel.ORDERS, reason="news")
    with pytest.raises(KeyHalted):
        desk.place()
    assert first.order_id
    done = cancel_order(user=desk.owner, key=desk.key, order_id=first.order_id)
    assert done.state == "requested"
    assert desk.cids(active=True) == [second.cid]
    assert cancel_all(user=desk.owner, key=desk.key).state == "requested"
    assert (desk.cids(active=True), len(desk.sent(SUBMIT))) == ([], 2)
    assert OrderIntent.objects.count() == 2  # the refused one was not even recorded


def test_g07_a_halt_that_comes_between_the_record_and_the_signature_stops_the_order(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    real = signer.signed

    def halted(key: ApiKey, *words: Any) -> signer.Signed:
        keys.halt_keys(by=None, level=HaltLevel.ORDERS, reason="news")
        return real(key, *words)

    monkeypatch.setattr(signer, "signed", halted)
    intent = desk.place()
    assert (intent.state, intent.nonce) == (OrderState.NOT_PLACED, None)
    assert desk.sent(SUBMIT) == []


def test_g07_a_revocation_cancels_what_is_open_first_when_asked(desk: Desk):
    for _ in range(3):
        desk.place()
    done = keys.revoke_key(key=desk.key, by=desk.owner, reason="sold", cancel_orders=True)
    assert done.cancelled == Cancelled(3)
    assert (len(desk.cids()), desk.cids(active=True)) == (3, [])
    row = ApiKey.objects.get(pk=desk.key.pk)
    assert (row.is_revoked, row.wrapped_dek, row.sealed_secret) == (True, None, None)
    calls = len(desk.arrivals())
    for act in ("read", "cancel", "place"):
        with pytest.raises(KeyRevoked):
            signer.signed(desk.key, f"/v2/{SUBMIT}", b"{}", act)
    with pytest.raises(KeyRevoked):
        desk.place()
    assert len(desk.arrivals()) == calls


def test_g07_a_revocation_without_a_wish_leaves_orders_alone(desk: Desk):
    placed = desk.place()
    done = keys.revoke_key(key=desk.key, by=desk.owner, reason="sold")
    assert (done.cancelled, desk.cids(active=True)) == (None, [placed.cid])


@pytest.mark.parametrize(
    ("lost", "left", "problem"),
    [
        (1, 0, "an answer was lost, but none was open a moment later"),
        (2, 1, "1 of them are still open"),
    ],
)
def test_g07_a_revocation_whose_cancel_gets_no_answer_tries_again_and_says_what_is_true(
    desk: Desk, lost: int, left: int, problem: str
):
    desk.place()
    endpoint = "auth/w/order/cancel/multi"
    desk.exchange.fault(kind="lost", before=True, times=lost, endpoint=endpoint)
    done = keys.revoke_key(key=desk.key, by=desk.owner, reason="sold", cancel_orders=True)
    assert done.cancelled == Cancelled(None, problem)
    assert done.key.is_revoked
    assert len(desk.cids(active=True)) == left
