from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import OperationalError

from accounts import keys
from accounts.errors import (
    KeyBusy,
    KeyChanged,
    KeyHalted,
    KeyNotArmed,
    KeyRevoked,
    NotAllowed,
    PermissionMissing,
)
from accounts.models import ApiKey, AuditEvent, HaltLevel, User
from accounts.policy import KeyPolicy
from market import intents, orders, resolver
from market.bitfinex.errors import (
    AuthRefused,
    LimiterClosed,
    NonceRefused,
    NoReply,
    NoSlot,
    Rejected,
    Unreachable,
)
from market.bitfinex.orders import NewOrder, OrderInvalid
from market.models import OrderIntent, OrderState, OrderTally
from market.order_errors import OrderRefused
from market.order_words import CHECKING
from market.rates import Price
from tests.factories import make_user
from tests.market.scripted import (
    CANCEL,
    CANCEL_MANY,
    OPEN,
    SUBMIT,
    UPDATE,
    ScriptedClient,
    order_row,
    placed,
)

PRICES = {"tBTCUSD": Price(Decimal(59_990), Decimal(60_010), Decimal(60_000))}
ORDER = NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal("0.01"), Decimal(20_000))
LOST = NoReply("ReadTimeout")
NOT_FOUND = Rejected(10001, "Order not found.")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> ScriptedClient:
    scripted = ScriptedClient()
    scripted.answers[SUBMIT] = [placed]
    for module in (orders, resolver):
        monkeypatch.setattr(module, "client", lambda: scripted)
    monkeypatch.setattr(orders, "known_prices", lambda symbol: PRICES)
    monkeypatch.setattr(orders, "REPEATS_MS", (0, 0))
    return scripted


def place(key: ApiKey, **changed: Any) -> OrderIntent:
    usual: dict[str, Any] = {
        "symbol": "tBTCUSD",
        "side": "buy",
        "order_type": "EXCHANGE LIMIT",
        "amount": Decimal("0.01"),
        "price": Decimal(20_000),
        "follow": 0.0,
    }
    return orders.place_order(user=key.owner, key=key, **{**usual, **changed})


def stored(intent: OrderIntent) -> OrderIntent:
    return OrderIntent.objects.get(pk=intent.pk)


def test_an_accepted_order_is_the_exchanges(client: ScriptedClient, signing_key: ApiKey):
    intent = place(signing_key, price_seen=Decimal(60_000))
    row = stored(intent)
    assert (row.state, row.order_id, row.nonce) == (OrderState.ACCEPTED, 33950998275, 1)
    assert row.value_micros == 200_000_000
    assert client.asked == [(SUBMIT, "place")]
    assert client.bodies == [
        {
            "type": "EXCHANGE LIMIT",
            "symbol": "tBTCUSD",
            "amount": "0.01",
            "price": "20000",
            "cid": row.cid,
        }
    ]


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (Rejected(10001, "amount: invalid"), OrderState.REJECTED, "amount: invalid"),
        (NonceRefused(10114, "nonce: small"), OrderState.NOT_PLACED, "another program"),
        (NoSlot("auth/w/order/submit", 12.0), OrderState.NOT_PLACED, "12 s"),
        (Unreachable("ConnectTimeout"), OrderState.NOT_PLACED, "cannot be reached"),
        (KeyChanged(ORDER.symbol), OrderState.NOT_PLACED, "has changed"),  # type: ignore[arg-type]
        (LOST, OrderState.UNKNOWN, CHECKING),
    ],
)
def test_every_failure_ends_in_what_is_known(
    client: ScriptedClient, signing_key: ApiKey, error: Exception, state: OrderState, words: str
):
    client.answers[SUBMIT] = [error]
    intent = place(signing_key)
    assert stored(intent).state == intent.state == state
    assert words in intent.reason
    assert client.paths == [SUBMIT]


def test_flags_may_be_given_as_a_number(client: ScriptedClient, signing_key: ApiKey):
    place(signing_key, flags=64 | 4096)
    assert client.bodies[-1]["flags"] == 4160


def test_a_database_that_fails_after_the_order_left_is_not_told_as_a_failure(
    client: ScriptedClient, signing_key: ApiKey, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: Any) -> None:
        raise OperationalError("gone")

    client.answers[SUBMIT] = [LOST]
    monkeypatch.setattr(resolver, "follow", away)
    assert place(signing_key).state == OrderState.UNKNOWN
    client.answers[SUBMIT] = [placed]
    monkeypatch.setattr(resolver, "settle_due", away)
    assert place(signing_key).state == OrderState.ACCEPTED


def test_a_script_settles_what_an_earlier_one_left_in_doubt(
    client: ScriptedClient, signing_key: ApiKey
):
    client.answers[SUBMIT] = [LOST, placed]
    lost = place(signing_key)
    client.answers[OPEN] = [[order_row(cid=lost.cid)]]
    place(signing_key)
    assert stored(lost).state == OrderState.ACCEPTED


def test_a_refusal_before_anything_left_is_noted_from_the_intent(
    client: ScriptedClient, signing_key: ApiKey
):
    client.attempts = 0
    client.answers[SUBMIT] = [LimiterClosed("OperationalError")]
    intent = place(signing_key)
    assert (stored(intent).state, stored(intent).nonce) == (OrderState.NOT_PLACED, None)


def test_an_order_that_was_settled_meanwhile_is_not_sent(
    client: ScriptedClient, signing_key: ApiKey
):
    def overtaken(self: Any) -> None:
        OrderIntent.objects.update(state=OrderState.NOT_PLACED, reason="crashed")

    client.attempts = 0

    def answer(request: Any) -> Any:
        overtaken(request)
        orders._begin(OrderIntent.objects.get(), 5)

    client.answers[SUBMIT] = [answer]
    intent = place(signing_key)
    assert (intent.state, intent.reason) == (OrderState.NOT_PLACED, "crashed")


def test_without_a_database_no_nonce_leaves(signing_key: ApiKey, monkeypatch: pytest.MonkeyPatch):
    def away(intent: OrderIntent, nonce: int) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(intents, "begin", away)
    with pytest.raises(LimiterClosed):
        orders._begin(OrderIntent(), 5)


def test_an_outcome_that_cannot_be_written_is_left_to_the_resolver(
    client: ScriptedClient, signing_key: ApiKey, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(intents, "accept", away)
    intent = place(signing_key)
    assert stored(intent).state == OrderState.SENDING


def test_a_lost_reply_is_followed_to_its_end(client: ScriptedClient, signing_key: ApiKey):
    client.answers[SUBMIT] = [LOST]
    client.answers[OPEN] = [lambda request: [order_row(cid=OrderIntent.objects.get().cid)]]
    intent = place(signing_key, follow=5.0)
    assert intent.state == stored(intent).state == OrderState.ACCEPTED
    assert client.asked == [(SUBMIT, "place"), (OPEN, "look_up")]


@pytest.mark.parametrize("problem", [None, OperationalError("gone")])
def test_a_key_that_the_exchange_does_not_accept_is_asked_about(
    client: ScriptedClient,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception | None,
):
    asked: list[ApiKey] = []

    def check_key(*, key: ApiKey) -> None:
        asked.append(key)
        if problem:
            raise problem

    monkeypatch.setattr(keys, "check_key", check_key)
    client.answers[SUBMIT] = [AuthRefused(10100, "apikey: invalid")]
    assert place(signing_key).state == OrderState.REJECTED
    assert asked == [signing_key]


def test_a_key_that_may_not_place_sends_and_records_nothing(
    client: ScriptedClient, signing_key: ApiKey
):
    owner = signing_key.owner
    keys.halt_keys(by=owner, owner=owner, level=HaltLevel.ORDERS, reason="test")
    with pytest.raises(KeyHalted):
        place(signing_key)
    keys.halt_keys(by=owner, owner=owner, level=HaltLevel.NONE, reason="test")
    keys.disarm_key(key=signing_key, by=owner)
    with pytest.raises(KeyNotArmed):
        place(signing_key)
    ApiKey.objects.update(scopes={"orders": ["read"]})
    keys_before = ApiKey.objects.get(pk=signing_key.pk)
    with pytest.raises((PermissionMissing, KeyNotArmed)):
        place(keys_before)
    keys.revoke_key(key=signing_key, by=owner, reason="test")
    with pytest.raises(KeyRevoked):
        place(signing_key)
    assert (client.asked, OrderIntent.objects.count()) == ([], 0)


def test_a_key_without_the_scope_places_nothing(client: ScriptedClient, signing_key: ApiKey):
    ApiKey.objects.update(scopes={"orders": ["read"]})
    with pytest.raises(PermissionMissing):
        place(signing_key)


def test_g11_nobody_trades_with_the_key_of_another(client: ScriptedClient, signing_key: ApiKey):
    bob = make_user("bob")
    with pytest.raises(NotAllowed):
        orders.cancel_all(user=bob, key=signing_key)
    with pytest.raises(NotAllowed):
        orders.preview_order(user=bob, key=signing_key, order=ORDER)
    intent = orders.preview_order(user=signing_key.owner, key=signing_key, order=ORDER)
    with pytest.raises(NotAllowed):
        orders.confirm_order(user=bob, intent=intent)
    assert client.asked == []


def test_what_is_no_order_or_against_the_policy_is_not_recorded(
    client: ScriptedClient, signing_key: ApiKey
):
    with pytest.raises(OrderInvalid):
        place(signing_key, amount=Decimal(0))
    with pytest.raises(OrderRefused):
        place(signing_key, amount=Decimal(10))
    assert (client.asked, OrderIntent.objects.count()) == ([], 0)


def test_a_preview_is_sent_once_however_often_it_is_confirmed(
    client: ScriptedClient, signing_key: ApiKey
):
    owner = signing_key.owner
    intent = orders.preview_order(
        user=owner, key=signing_key, order=ORDER, prices=PRICES, price_seen=Decimal(60_000)
    )
    assert client.asked == []
    stale = stored(intent)
    sent = orders.confirm_order(user=owner, intent=intent)
    assert sent.state == OrderState.ACCEPTED
    assert orders.confirm_order(user=owner, intent=intent).cid == sent.cid
    assert orders.confirm_order(user=owner, intent=stale, prices=PRICES).cid == sent.cid
    assert client.paths == [SUBMIT]


def test_a_policy_that_was_tightened_after_the_review_holds(
    client: ScriptedClient, signing_key: ApiKey
):
    owner = signing_key.owner
    intent = orders.preview_order(user=owner, key=signing_key, order=ORDER)
    policy = replace(KeyPolicy(), largest_order=Decimal(100))
    keys.set_policy(key=signing_key, by=owner, policy=policy)
    with pytest.raises(OrderRefused):
        orders.confirm_order(user=owner, intent=intent)
    assert stored(intent).state == OrderState.PREVIEW


# --- Cancels --------------------------------------------------------------------------------------


def own(key: ApiKey) -> dict[str, Any]:
    return {"user": key.owner, "key": key}


def test_a_cancel_is_taken_and_leaves_an_event(client: ScriptedClient, signing_key: ApiKey):
    client.answers[CANCEL] = [order_row(id=5)]
    client.answers[CANCEL_MANY] = [[order_row(id=5), order_row(id=6)]]
    done = orders.cancel_order(**own(signing_key), order_id=5)
    assert (done.state, [order.id for order in done.orders]) == ("requested", [5])
    assert orders.cancel_by_cid(**own(signing_key), cid=7, day=date(2026, 11, 28)).orders
    assert len(orders.cancel_orders(**own(signing_key), ids=[5, 6]).orders) == 2
    assert len(orders.cancel_all(**own(signing_key)).orders) == 2
    assert {lane for _, lane in client.asked} == {"cancel"}
    events = AuditEvent.objects.filter(tag="order.cancelled").order_by("seq")
    assert [event.data for event in events] == [
        '{"order":5}',
        '{"cid":7}',
        '{"orders":[5,6]}',
        '{"all":true}',
    ]


@pytest.mark.parametrize(
    ("answers", "state", "sent"),
    [
        ([LOST, order_row()], "requested", 2),
        ([LOST, NOT_FOUND], "gone", 2),
        ([LOST], "unknown", 3),
        ([NOT_FOUND], "gone", 1),
        ([Rejected(10001, "api_key: permission invalid")], "refused", 1),
        ([NoSlot("auth/w/order/cancel", 3.0)], "refused", 1),
        ([KeyBusy(ORDER.symbol, 5)], "refused", 1),  # type: ignore[arg-type]
    ],
)
def test_a_cancel_may_be_sent_again_and_ends_in_what_is_known(
    client: ScriptedClient, signing_key: ApiKey, answers: list[Any], state: str, sent: int
):
    client.answers[CANCEL] = answers
    done = orders.cancel_order(**own(signing_key), order_id=5)
    assert (done.state, len(client.asked)) == (state, sent)
    assert bool(done.reason) == (state != "requested")


def test_g07_a_halt_of_orders_lets_cancels_pass(client: ScriptedClient, signing_key: ApiKey):
    owner = signing_key.owner
    keys.halt_keys(by=owner, owner=owner, level=HaltLevel.ORDERS, reason="test")
    client.answers[CANCEL] = [order_row()]
    assert orders.cancel_order(**own(signing_key), order_id=5).state == "requested"
    keys.halt_keys(by=owner, owner=owner, level=HaltLevel.SIGNING, reason="test")
    with pytest.raises(KeyHalted):
        orders.cancel_order(**own(signing_key), order_id=5)


# --- Changes --------------------------------------------------------------------------------------

OLD = order_row(id=5, amount=Decimal("-0.01"), amount_orig=Decimal("-0.02"), price=Decimal(70_000))
NEW = order_row(id=5, amount=Decimal("-0.03"), amount_orig=Decimal("-0.03"), price=Decimal(71_000))

TRADED = msgspec.structs.replace(NEW, amount=Decimal("-0.005"), amount_orig=Decimal("-0.02"))


def change(key: ApiKey, **changed: Any) -> orders.Change:
    wanted: dict[str, Any] = {"amount": Decimal("0.03"), "price": Decimal(71_000)}
    return orders.update_order(**own(key), order_id=5, **(changed or wanted))


def test_a_change_is_absolute_and_counts_what_it_adds(client: ScriptedClient, signing_key: ApiKey):
    client.answers[OPEN] = [[OLD]]
    client.answers[UPDATE] = [NEW]
    assert change(signing_key).order == NEW
    assert client.bodies[-1] == {"id": 5, "amount": "-0.03", "price": "71000"}
    assert OrderTally.objects.get().micros == (3 * 710 - 700) * 1_000_000
    assert AuditEvent.objects.latest("seq").tag == "order.changed"


def test_what_is_left_out_of_a_change_stays(client: ScriptedClient, signing_key: ApiKey):
    client.answers[OPEN] = [[OLD]]
    client.answers[UPDATE] = [NEW]
    change(signing_key, price=Decimal(69_000))
    assert client.bodies[-1] == {"id": 5, "price": "69000"}
    assert OrderTally.objects.count() == 0


def test_a_change_of_the_price_alone_is_seen_whatever_was_traded(
    client: ScriptedClient, signing_key: ApiKey
):
    client.answers[OPEN] = [[OLD], [TRADED]]
    client.answers[UPDATE] = [LOST]
    assert change(signing_key, price=Decimal(71_000)).state == "changed"


def test_a_change_that_was_not_made_counts_for_nothing(client: ScriptedClient, signing_key: ApiKey):
    client.answers[OPEN] = [[OLD]]
    client.answers[UPDATE] = [NOT_FOUND]
    assert change(signing_key).state == "gone"
    assert OrderTally.objects.get().micros == 0


def test_a_change_is_held_to_the_policy(client: ScriptedClient, signing_key: ApiKey):
    client.answers[OPEN] = [[OLD]]
    with pytest.raises(OrderRefused):
        change(signing_key, amount=Decimal(10))
    assert client.paths == [OPEN]


def test_an_order_that_is_not_open_is_not_changed(client: ScriptedClient, signing_key: ApiKey):
    client.answers[OPEN] = [[]]
    assert change(signing_key).state == "gone"
    assert client.paths == [OPEN]


@pytest.mark.parametrize(
    ("answer", "then", "state"),
    [
        (NOT_FOUND, [], "gone"),
        (Rejected(10001, "amount: invalid"), [], "refused"),
        (NoSlot("auth/w/order/update", 3.0), [], "refused"),
        (KeyBusy(ORDER.symbol, 5), [], "refused"),  # type: ignore[arg-type]
        (LOST, [[NEW]], "changed"),
        (LOST, [[OLD], [NEW]], "changed"),
        (LOST, [[OLD]], "unchanged"),
        (LOST, [[TRADED]], "unknown"),
        (LOST, [[]], "gone"),
        (LOST, [LOST], "unknown"),
    ],
)
def test_a_change_ends_in_what_is_known(
    client: ScriptedClient, signing_key: ApiKey, answer: Exception, then: list[Any], state: str
):
    client.answers[OPEN] = [[OLD], *then]
    client.answers[UPDATE] = [answer]
    done = change(signing_key)
    assert done.state == state
    assert client.paths.count(UPDATE) == 1
    assert bool(done.reason) == (state != "changed")


def test_the_record_outlives_a_patient_wait(client: ScriptedClient, signing_key: ApiKey):
    """`check_at` lies beyond the longest wait for a slot: no resolver takes a waiting order."""
    client.attempts = 0

    def answer(request: Any) -> Exception:
        row = OrderIntent.objects.get()
        assert row.check_at
        assert row.confirmed_at
        assert row.check_at - row.confirmed_at > timedelta(seconds=orders.PLACE_PATIENCE)
        return Unreachable("test")

    client.answers[SUBMIT] = [answer]
    assert place(signing_key).state == OrderState.NOT_PLACED


def test_users_are_told_apart_by_id_not_by_name(client: ScriptedClient, signing_key: ApiKey):
    same = User.objects.get(pk=signing_key.owner_id)
    assert orders.preview_order(user=same, key=signing_key, order=ORDER).owner == same
