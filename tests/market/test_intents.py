from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import ApiKey, AuditEvent
from accounts.policy import KeyPolicy
from market import intents
from market.bitfinex.orders import MAX_CID, Flag, NewOrder
from market.models import OrderIntent, OrderState, OrderTally
from market.order_errors import IntentTaken, OrderRefused, PreviewGone
from tests.market.scripted import row_of

WAIT = timedelta(seconds=10)
ORDER = NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal("0.01"), Decimal(20_000))
VALUE = Decimal("200.000001")
MICROS = 200_000_001
Recorded = Callable[..., OrderIntent]


@pytest.fixture
def recorded(signing_key: ApiKey) -> Recorded:
    def record(**changed: Any) -> OrderIntent:
        usual = {"order": ORDER, "value": VALUE, "price_seen": None, "wait": WAIT}
        return intents.record(user=signing_key.owner, key=signing_key, **{**usual, **changed})

    return record


@pytest.fixture
def previewed(signing_key: ApiKey) -> OrderIntent:
    return intents.preview(
        user=signing_key.owner, key=signing_key, order=ORDER, value=VALUE, price_seen=Decimal(21)
    )


def stored(intent: OrderIntent) -> OrderIntent:
    return OrderIntent.objects.get(pk=intent.pk)


def spent(intent: OrderIntent) -> int:
    return OrderTally.objects.get(pk=intent.key_id).micros


amounts = st.decimals(Decimal("1e-8"), 10**9, places=8)


@given(amount=amounts, price=amounts, aux=amounts, flags=st.sampled_from([Flag(0), Flag.HIDDEN]))
def test_g10_an_order_comes_back_from_the_record_unchanged(amount, price, aux, flags):
    tif = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    prices = {"price": five_digits(price), "price_aux_limit": five_digits(aux)}
    order = NewOrder("tBTCF0:USTF0", "sell", "STOP LIMIT", amount, **prices, flags=flags, tif=tif,
                     leverage=3, gid=5)  # fmt: skip
    assert intents.read_order(OrderIntent(order_text=intents.order_text(order))) == order


def five_digits(price: Decimal) -> Decimal:
    unit = Decimal(1).scaleb(max(price.adjusted() - 4, -8))
    return price.quantize(unit) if unit <= 1 else price // unit * unit


def test_a_recorded_order_has_a_client_id_a_share_of_the_day_and_an_event(recorded: Recorded):
    intent = recorded()
    assert stored(intent).state == OrderState.INTENT
    assert 0 < (intent.cid or 0) <= MAX_CID
    assert spent(intent) == MICROS
    event = AuditEvent.objects.latest("seq")
    assert (event.tag, event.key) == ("order.confirmed", intent.key_id)
    assert str(intent.cid) in event.data
    assert not intent.is_settled
    assert str(intent) == "tBTCUSD intent"


def test_client_ids_stay_below_int45_until_2039():
    assert intents.new_cid(datetime(2039, 8, 31, tzinfo=UTC)) <= MAX_CID


def test_a_client_id_that_exists_is_replaced(recorded: Recorded, monkeypatch: pytest.MonkeyPatch):
    ids = iter([5, 5, 6])
    monkeypatch.setattr(intents, "new_cid", lambda now: next(ids))
    assert [recorded().cid, recorded().cid] == [5, 6]
    monkeypatch.setattr(intents, "new_cid", lambda now: 5)
    with pytest.raises(IntegrityError):
        recorded()
    assert OrderIntent.objects.count() == 2


def test_a_preview_is_confirmed_once(previewed: OrderIntent, signing_key: ApiKey):
    again = stored(previewed)
    assert intents.confirm(previewed, policy=KeyPolicy(), value=VALUE, wait=WAIT)
    assert not intents.confirm(again, policy=KeyPolicy(), value=VALUE, wait=WAIT)
    assert again.state == previewed.state == OrderState.INTENT
    assert again.cid == stored(previewed).cid == previewed.cid
    assert spent(previewed) == MICROS
    assert previewed.price_seen == "21"


def test_a_review_that_was_left_alone_is_forgotten_after_a_day(
    previewed: OrderIntent, signing_key: ApiKey
):
    OrderIntent.objects.update(created_at=timezone.now() - timedelta(days=2))
    again = intents.preview(
        user=signing_key.owner, key=signing_key, order=ORDER, value=VALUE, price_seen=None
    )
    assert list(OrderIntent.objects.all()) == [again]


def test_a_preview_lives_for_a_minute(previewed: OrderIntent):
    previewed.created_at -= timedelta(seconds=61)
    with pytest.raises(PreviewGone):
        intents.confirm(previewed, policy=KeyPolicy(), value=VALUE, wait=WAIT)
    OrderIntent.objects.update(state=OrderState.ACCEPTED)
    previewed.created_at -= timedelta(seconds=61)
    assert not intents.confirm(previewed, policy=KeyPolicy(), value=VALUE, wait=WAIT)
    assert previewed.state == OrderState.ACCEPTED


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (KeyPolicy(day_total=Decimal("400.000001")), "day_total"),
        (KeyPolicy(orders_a_minute=1), "orders_a_minute"),
    ],
)
def test_what_the_policy_has_no_room_for_leaves_no_trace(
    recorded: Recorded, previewed: OrderIntent, policy: KeyPolicy, reason: str
):
    recorded()
    events = AuditEvent.objects.count()
    with pytest.raises(OrderRefused) as caught:
        intents.confirm(previewed, policy=policy, value=VALUE, wait=WAIT)
    assert caught.value.reason == reason
    assert stored(previewed).state == OrderState.PREVIEW
    assert (spent(previewed), AuditEvent.objects.count()) == (MICROS, events)


def test_a_minute_with_room_takes_another_order(recorded: Recorded, previewed: OrderIntent):
    recorded()
    assert intents.confirm(previewed, policy=KeyPolicy(orders_a_minute=2), value=VALUE, wait=WAIT)


def test_a_confirmed_order_counts_with_what_it_is_worth_by_then(previewed: OrderIntent):
    intents.confirm(previewed, policy=KeyPolicy(), value=Decimal(300), wait=WAIT)
    assert spent(previewed) == stored(previewed).value_micros == 300_000_000


def test_orders_of_a_time_to_come_do_not_count_for_this_minute(
    recorded: Recorded, previewed: OrderIntent
):
    recorded()
    ahead = timezone.now() + timedelta(hours=1)  # the clock was set back since
    OrderIntent.objects.filter(state=OrderState.INTENT).update(confirmed_at=ahead)
    policy = KeyPolicy(orders_a_minute=1)
    assert intents.confirm(previewed, policy=policy, value=VALUE, wait=WAIT)


def test_a_new_day_begins_at_nothing(recorded: Recorded):
    intent = recorded()
    OrderTally.objects.update(day=timezone.now().date() - timedelta(days=1), micros=10**15)
    assert spent(recorded()) == MICROS == intent.value_micros


def test_a_clock_set_back_over_midnight_begins_no_new_day(recorded: Recorded):
    intent = recorded()
    OrderTally.objects.update(day=timezone.now().date() + timedelta(days=1))
    recorded()
    assert spent(intent) == 2 * MICROS
    OrderTally.objects.update(day=timezone.now().date() + timedelta(days=400))
    assert spent(recorded()) == MICROS  # no clock was that far ahead for long


def test_a_change_reserves_only_what_it_adds(recorded: Recorded, signing_key: ApiKey):
    intent = recorded()
    with transaction.atomic():
        intents.reserve_more(signing_key, Decimal(-5))
        assert spent(intent) == MICROS
        intents.reserve_more(signing_key, Decimal(1))
        intents.give_back(signing_key, Decimal(-5))
        intents.give_back(signing_key, Decimal(2))
        intents.reserve_more(signing_key, Decimal(2))
    assert spent(intent) == MICROS + 1_000_000


def test_sending_notes_each_nonce_before_it_leaves(recorded: Recorded):
    intent = recorded()
    intents.begin(intent, 17)
    intents.begin(intent, 18)
    row = stored(intent)
    assert (row.state, row.nonce, row.is_in_doubt) == (OrderState.SENDING, 18, True)
    assert row.sent_at is not None


def test_an_order_that_may_leave_is_on_the_disk(recorded: Recorded):
    """SQLite puts it off otherwise; PostgreSQL does not."""
    intent = recorded()
    with CaptureQueriesContext(connection) as seen:
        intents.begin(intent, 17)
    pragmas = [one["sql"] for one in seen if "PRAGMA" in one["sql"]]
    wanted = ["PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL"]
    assert pragmas == (wanted if connection.vendor == "sqlite" else [])


def test_inside_a_transaction_nothing_is_put_on_the_disk_by_itself(recorded: Recorded):
    intent = recorded()
    with transaction.atomic(), CaptureQueriesContext(connection) as seen:
        intents.begin(intent, 17)
    assert not [one["sql"] for one in seen if "PRAGMA" in one["sql"]]


def test_a_settled_order_does_not_begin(recorded: Recorded):
    intent, other = recorded(), recorded()
    assert intents.give_up(stored(intent), "crashed", nonce=None)
    with pytest.raises(IntentTaken):
        intents.begin(intent, 17)
    intents.begin(stored(other), 18)
    with pytest.raises(IntentTaken):  # another sender had its turn
        intents.begin(other, 19)


def test_g09_a_sender_that_lost_its_turn_sends_nothing_more(recorded: Recorded):
    intent = recorded()
    intents.begin(intent, 17)
    intents.doubt(stored(intent), "no answer")
    with pytest.raises(IntentTaken):
        intents.begin(intent, 18)


def test_what_is_surely_not_there_gives_its_share_back(recorded: Recorded):
    for settle in (
        lambda intent: intents.reject(intent, "amount: invalid"),
        lambda intent: intents.give_up(intent, "not sent", nonce=None),
    ):
        intent = recorded()
        settle(intent)
        assert spent(intent) == 0
        assert stored(intent).is_settled
    OrderTally.objects.update(day=timezone.now().date() - timedelta(days=1), micros=5)
    yesterday = stored(intent)
    assert spent(yesterday) == 5


def test_an_accepted_order_keeps_its_share(recorded: Recorded):
    intent = recorded()
    intents.begin(intent, 17)
    intents.accept(intent, row_of(intent))
    row = stored(intent)
    assert (row.state, row.order_id, row.status) == (OrderState.ACCEPTED, 33950998275, "ACTIVE")
    assert (spent(intent), row.check_at) == (MICROS, None)


def test_what_was_sent_again_meanwhile_is_not_given_up(recorded: Recorded):
    intent = recorded()
    intents.begin(intent, 17)
    before = stored(intent)
    intents.begin(intent, 18)
    assert not intents.give_up(before, "nonce: small", nonce=17)
    assert before.nonce == 18  # the row as it is now
    assert stored(intent).state == OrderState.SENDING


def test_words_of_the_exchange_are_kept_as_text_to_be_read(recorded: Recorded):
    intent = recorded()
    intents.begin(intent, 17)
    intents.accept(intent, row_of(intent, status="ACT\x00IVE\x1b[31m" + "x" * 400))
    assert stored(intent).status.startswith("ACT IVE [31mx")
    assert len(stored(intent).status) == 300


def test_an_order_that_was_erased_meanwhile_is_nobodys_trouble(recorded: Recorded):
    intent = recorded()
    intents.begin(intent, 17)
    OrderIntent.objects.all().delete()
    intents.accept(intent, row_of(intent))
    assert not OrderIntent.objects.exists()


def test_an_order_that_appears_late_is_the_truth(recorded: Recorded):
    intent = recorded()
    intents.begin(intent, 17)
    intents.doubt(intent, "no answer")
    intents.give_up(intent, "not there", nonce=17)
    intents.accept(intent, row_of(intent))
    assert stored(intent).state == OrderState.ACCEPTED


def test_a_verdict_is_not_overruled_by_a_doubt_or_a_refusal(recorded: Recorded):
    intent = recorded()
    intents.begin(intent, 17)
    late = stored(intent)
    intents.accept(intent, row_of(intent))
    intents.doubt(late, "no answer")
    intents.reject(late, "refused")
    assert late.state == stored(intent).state == OrderState.ACCEPTED


def test_with_its_key_the_truth_is_lost(recorded: Recorded):
    intent = recorded()
    intents.lose_key(intent, "revoked")
    assert intent.state == OrderState.INTENT  # it was never sent: nothing is lost
    intents.begin(intent, 17)
    intents.doubt(intent, "no answer")
    intents.lose_key(intent, "revoked")
    assert stored(intent).state == OrderState.KEY_GONE
