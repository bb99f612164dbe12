from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts import keys
from accounts.errors import KeyNotReady, KeyRevoked, SealBroken
from accounts.models import ApiKey, HaltLevel, KeyState, Notice
from market import intents, resolver
from market.bitfinex.errors import AuthRefused, NoReply, NoSlot
from market.bitfinex.orders import Flag, NewOrder
from market.models import OrderIntent, OrderState
from market.order_words import ABSENT, CRASHED
from tests.market.scripted import HISTORY, OPEN, ScriptedClient, order_row, row_of

WAIT = timedelta(seconds=10)
ORDER = NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal("0.01"), Decimal(20_000))
Recorded = Callable[..., OrderIntent]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> ScriptedClient:
    scripted = ScriptedClient()
    scripted.answers.update({OPEN: [[]], HISTORY: [[]]})
    monkeypatch.setattr(resolver, "client", lambda: scripted)
    return scripted


@pytest.fixture
def intent(signing_key: ApiKey) -> OrderIntent:
    return record(signing_key)


@pytest.fixture
def lost(intent: OrderIntent) -> OrderIntent:
    """Sent, and the reply is lost."""
    return lose(intent)


def record(key: ApiKey) -> OrderIntent:
    return intents.record(
        user=key.owner, key=key, order=ORDER, value=Decimal(200), price_seen=None, wait=WAIT
    )


def lose(intent: OrderIntent) -> OrderIntent:
    intents.begin(intent, 17)
    intents.doubt(intent, "no answer")
    return intent


def stored(intent: OrderIntent) -> OrderIntent:
    return OrderIntent.objects.get(pk=intent.pk)


def later(**changed: timedelta) -> None:
    """As if so much time had passed."""
    for name, by in changed.items():
        for row in OrderIntent.objects.all():
            OrderIntent.objects.filter(pk=row.pk).update(**{name: getattr(row, name) - by})


def come_back() -> None:
    OrderIntent.objects.filter(settled_at=None).update(check_at=timezone.now())


@pytest.mark.parametrize("where", [OPEN, HISTORY])
def test_an_order_that_the_exchange_has_is_accepted(
    client: ScriptedClient, lost: OrderIntent, where: str
):
    client.answers[where] = [[order_row(cid=1), row_of(lost)]]
    assert resolver.settle_due() == 1
    assert stored(lost).state == OrderState.ACCEPTED
    assert client.paths == [OPEN] if where == OPEN else [OPEN, HISTORY]
    assert {lane for _, lane in client.asked} == {"look_up"}


def test_g09_an_order_is_missing_only_when_it_was_missed_twice(
    client: ScriptedClient, lost: OrderIntent
):
    assert resolver.settle_due() == 1
    assert stored(lost).state == OrderState.UNKNOWN
    assert resolver.settle_due() == 0  # its second look has not come
    come_back()
    assert resolver.settle_due() == 1
    assert stored(lost).state == OrderState.UNKNOWN  # nor has it in five seconds
    later(missed_at=resolver.SECOND_LOOK)
    come_back()
    resolver.settle_due()
    assert (stored(lost).state, stored(lost).reason) == (OrderState.NOT_PLACED, ABSENT)


def test_an_order_that_is_seen_at_the_second_look_is_there(
    client: ScriptedClient, lost: OrderIntent
):
    resolver.settle_due()
    later(missed_at=resolver.SECOND_LOOK)
    come_back()
    client.answers[OPEN] = [[row_of(lost)]]
    resolver.settle_due()
    assert stored(lost).state == OrderState.ACCEPTED


def test_a_clock_set_back_between_the_looks_begins_them_anew(
    client: ScriptedClient, lost: OrderIntent
):
    resolver.settle_due()
    later(missed_at=-timedelta(hours=1), check_at=-timedelta(hours=1))
    assert resolver.settle_due() == 1  # due far ahead: nobody plans that late
    row = stored(lost)
    assert row.state == OrderState.UNKNOWN
    assert row.missed_at is not None
    assert row.missed_at <= timezone.now()


def test_g09_a_clock_set_forward_between_the_looks_does_not_stand_for_the_wait(
    client: ScriptedClient, lost: OrderIntent
):
    resolver.settle_due()
    later(missed_at=timedelta(hours=1), check_at=timedelta(hours=1))
    resolver.settle_due()
    row = stored(lost)
    assert row.state == OrderState.UNKNOWN
    assert row.missed_at is not None
    assert row.missed_at > timezone.now() - timedelta(minutes=1)


def test_trouble_with_one_order_keeps_no_other_in_doubt(
    client: ScriptedClient, lost: OrderIntent, signing_key: ApiKey
):
    OrderIntent.objects.update(order_text="{}")
    assert resolver.settle_due() == 1
    assert stored(lost).state == OrderState.UNKNOWN


def test_orders_of_another_exchange_wait_until_it_is_back(
    client: ScriptedClient, lost: OrderIntent
):
    ApiKey.objects.update(exchange="live")
    assert resolver.settle_due() == 0


def test_an_intent_whose_process_ended_was_surely_not_sent(
    client: ScriptedClient, intent: OrderIntent
):
    assert resolver.settle_due() == 0
    assert stored(intent).state == OrderState.INTENT  # its sender may still be waiting
    come_back()
    resolver.settle_due()
    assert (stored(intent).state, stored(intent).reason) == (OrderState.NOT_PLACED, CRASHED)
    assert client.asked == []


def test_nothing_is_told_of_an_order_whose_sender_was_quicker(
    client: ScriptedClient, intent: OrderIntent, monkeypatch: pytest.MonkeyPatch
):
    told: list[OrderIntent] = []
    monkeypatch.setattr(resolver, "_tell", told.append)
    before = stored(intent)
    intents.begin(intent, 17)
    resolver._hand_over(before)
    lose_late = stored(intent)
    lose_late.missed_at = timezone.now() - resolver.SECOND_LOOK
    intents.begin(intent, 18)
    resolver._judge(lose_late, None)
    assert told == []
    assert stored(intent).state == OrderState.SENDING


def test_a_sender_that_does_not_answer_is_relieved(client: ScriptedClient, intent: OrderIntent):
    intents.begin(intent, 17)
    assert resolver.settle_due() == 0
    come_back()
    client.answers[OPEN] = [[row_of(intent)]]
    assert resolver.settle_due() == 1
    assert stored(intent).state == OrderState.ACCEPTED


def test_orders_of_one_key_are_looked_for_together(
    client: ScriptedClient, lost: OrderIntent, signing_key: ApiKey
):
    other, third = lose(record(signing_key)), lose(record(signing_key))
    client.answers[OPEN] = [[row_of(lost)]]
    client.answers[HISTORY] = [[row_of(other)]]
    assert resolver.settle_due(signing_key) == 3
    assert client.paths == [OPEN, HISTORY]
    states = [stored(each).state for each in (lost, other, third)]
    assert states == [OrderState.ACCEPTED, OrderState.ACCEPTED, OrderState.UNKNOWN]


def test_a_claimed_order_is_left_to_its_process(client: ScriptedClient, lost: OrderIntent):
    assert resolver._claim(stored(lost), timezone.now())
    assert not resolver._claim(lost, timezone.now())
    assert resolver.settle_due() == 0


def test_history_is_read_to_its_end(
    client: ScriptedClient, lost: OrderIntent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(resolver, "PAGE", 2)
    full = [order_row(cid=1, mts_update=300), order_row(cid=2, mts_update=200)]
    client.answers[HISTORY] = [full, [row_of(lost)]]
    resolver.settle_due()
    assert stored(lost).state == OrderState.ACCEPTED
    assert client.bodies[-1]["end"] == 200


def test_g09_with_more_history_than_can_be_read_nothing_is_concluded(
    client: ScriptedClient, lost: OrderIntent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(resolver, "PAGE", 1)
    client.answers[HISTORY] = [[order_row(cid=1)]]
    resolver.settle_due()
    row = stored(lost)
    assert (row.state, row.missed_at) == (OrderState.UNKNOWN, None)
    assert len(client.asked) == 1 + resolver.PAGES


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"symbol": "tETHUSD"}, False),
        ({"amount_orig": Decimal("-0.01")}, False),
        ({"amount_orig": Decimal("0.02")}, False),
        ({"amount": Decimal(0), "status": "EXECUTED"}, True),
    ],
)
def test_only_the_very_order_counts(changed: dict[str, Any], same: bool):
    row = order_row(**{"amount_orig": Decimal("0.01"), **changed})
    assert resolver.is_same(ORDER, row) == same


def test_an_order_that_the_exchange_fits_to_the_position_is_the_same():
    order = NewOrder("tBTCUSD", "sell", "MARKET", Decimal(5), flags=Flag.REDUCE_ONLY)
    assert resolver.is_same(order, order_row(amount_orig=Decimal("-0.3")))


@pytest.mark.parametrize(
    "error", [NoReply("ReadTimeout"), NoSlot("auth/r/orders", 5), SealBroken("a key")]
)
def test_without_an_answer_the_question_waits(
    client: ScriptedClient, lost: OrderIntent, error: Exception
):
    client.answers[OPEN] = [error]
    resolver.settle_due()
    row = stored(lost)
    assert (row.state, row.missed_at) == (OrderState.UNKNOWN, None)
    assert row.check_at is not None
    assert row.check_at > timezone.now()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (lambda key: KeyRevoked(key.uuid), OrderState.KEY_GONE),
        (lambda key: KeyNotReady(key.uuid, KeyState.REJECTED), OrderState.KEY_GONE),
        (lambda key: KeyNotReady(key.uuid, KeyState.QUARANTINED), OrderState.UNKNOWN),
    ],
)
def test_without_its_key_the_truth_is_at_the_exchange(
    client: ScriptedClient, lost: OrderIntent, signing_key: ApiKey, error: Any, state: OrderState
):
    client.answers[OPEN] = [error(signing_key)]
    resolver.settle_due()
    assert stored(lost).state == state


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (KeyState.REJECTED, OrderState.KEY_GONE),
        (KeyState.USABLE, OrderState.UNKNOWN),
        (SealBroken("a key"), OrderState.UNKNOWN),
    ],
)
def test_a_refused_key_is_asked_about_first(
    client: ScriptedClient,
    lost: OrderIntent,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    state: OrderState,
):
    def check_key(*, key: ApiKey) -> ApiKey:
        if isinstance(answer, Exception):
            raise answer
        ApiKey.objects.filter(pk=key.pk).update(state=answer)
        return ApiKey.objects.get(pk=key.pk)

    monkeypatch.setattr(keys, "check_key", check_key)
    client.answers[OPEN] = [AuthRefused(10100, "apikey: invalid")]
    resolver.settle_due()
    assert stored(lost).state == state


@pytest.mark.parametrize(("ago", "notices"), [(timedelta(0), 0), (timedelta(minutes=1), 1)])
def test_the_owner_hears_of_what_took_long(
    client: ScriptedClient, lost: OrderIntent, ago: timedelta, notices: int
):
    later(sent_at=ago)
    client.answers[OPEN] = [[row_of(lost)]]
    resolver.settle_due()
    assert Notice.objects.filter(user=lost.owner).count() == notices


def test_following_ends_with_the_doubt_or_with_its_patience(
    client: ScriptedClient, lost: OrderIntent
):
    resolver.follow(lost, 0.3)
    assert lost.state == OrderState.UNKNOWN
    come_back()
    client.answers[OPEN] = [[row_of(lost)]]
    resolver.follow(lost, 5)
    assert lost.state == OrderState.ACCEPTED
    resolver.follow(lost, 5)  # settled: nothing is asked


async def test_the_task_goes_round_until_it_is_cancelled(monkeypatch: pytest.MonkeyPatch):
    rounds: list[datetime] = []

    def settle_due() -> int:
        rounds.append(timezone.now())
        if len(rounds) == 3:
            raise ZeroDivisionError
        return 0

    monkeypatch.setattr(resolver, "settle_due", settle_due)
    monkeypatch.setattr(resolver, "EVERY_SECONDS", 0.001)
    with pytest.raises(ZeroDivisionError):
        await resolver.settle_for_ever()
    assert len(rounds) == 3


def test_g07_a_halt_of_all_signing_only_delays_the_truth(
    lost: OrderIntent, signing_key: ApiKey, monkeypatch: pytest.MonkeyPatch
):
    owner = signing_key.owner
    keys.halt_keys(by=owner, owner=owner, level=HaltLevel.SIGNING, reason="test")
    resolver.settle_due()
    assert stored(lost).state == OrderState.UNKNOWN
