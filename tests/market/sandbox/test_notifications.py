"""Answers to order calls, compared with recorded ones where there are any."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from market.sandbox.house import House
from market.sandbox.stream import Session
from tests.market.sandbox.accounts import Customer, auth_event

SUBMIT, UPDATE, CANCEL = (f"auth/w/order/{word}" for word in ("submit", "update", "cancel"))
NOT_ENOUGH = "Invalid order: not enough exchange balance for"
LIMIT = {"type": "EXCHANGE LIMIT", "symbol": "tBTCUSD", "amount": "0.1", "price": "40000"}


def recorded(recordings: Path, name: str) -> Any:
    text = (recordings / "rest/2022-2024_ccxt_recorded_responses.jsonl").read_text()
    lines = (json.loads(line) for line in text.splitlines())
    return next(line["response"] for line in lines if line["name"].startswith(name))


def shape(value: Any, ours: Any) -> Any:
    """Types of a row; where either side has null, or a number without a fraction, nothing is
    known. Objects are objects whatever is in them."""
    if isinstance(value, list) and isinstance(ours, list):
        assert len(value) == len(ours)
        return [shape(*pair) for pair in zip(value, ours, strict=True)]
    if value is None or ours is None:
        return None
    return "number" if isinstance(value, int | float) else type(value).__name__


def same_shape(ours: Any, theirs: Any) -> bool:
    return bool(shape(ours, theirs) == shape(theirs, ours))


def today(customer: Customer) -> str:
    return datetime.fromtimestamp(customer.clock, UTC).strftime("%Y-%m-%d")


@pytest.fixture
def session(house: House, alice: Customer) -> Session:
    """A socket of Alice that is logged in."""
    session, _ = house.streams.connect(alice.clock, "a")
    house.streams.receive(session, auth_event(alice.key.key, alice.key.secret), alice.clock)
    return session


def say(alice: Customer, session: Session, code: str, payload: Any) -> list[Any]:
    """The answer to an input."""
    text = json.dumps([0, code, None, payload])
    (out,) = alice.house.streams.receive(session, text, alice.clock)
    channel, word, row = json.loads(str(out))
    assert (channel, word) == (0, "n")
    return list(row)


def test_a_submit_looks_like_the_recorded_one(alice: Customer, recordings: Path) -> None:
    answer, theirs = alice.ask(SUBMIT, **LIMIT), recorded(recordings, "createOrder spot limit")

    assert same_shape(answer, theirs)
    assert answer[0] == int(alice.clock), "in seconds"
    assert answer[1:4] + answer[5:] == theirs[1:4] + theirs[5:]
    ours, row = answer[4][0], theirs[4][0]
    same = [place for place in range(32) if ours[place] == row[place]]
    assert set(range(32)) - set(same) == {0, 2, 3, 4, 5, 16}, "ids, symbol, times, price"
    assert ours[2] == ours[4] == int(alice.clock * 1000), "a cid of the exchange's own"


def test_an_update_shows_the_order_as_it_was(alice: Customer, recordings: Path) -> None:
    number = alice.submit("0.1", 40000, cid=5)[0]
    alice.clock += 60
    answer = alice.ask(UPDATE, id=number, price="41000", amount="0.2")

    assert same_shape(answer, recorded(recordings, "update order"))
    assert answer[0] == int(alice.clock * 1000), "in ms"
    assert (answer[4][16], answer[4][6]) == (40000, 0.1)
    assert answer[7] == "Submitting update to exchange limit buy order for 0.2 BTC."
    row = alice.row(number)
    assert (row[16], row[6], row[7], row[9]) == (41000, 0.2, 0.1, "EXCHANGE LIMIT")
    assert alice.wallet("USD") == (100_000, 91_800)
    alice.ask(UPDATE, cid=5, cid_date="2026-09-23", delta="-0.15")
    assert alice.wallet("USD") == (100_000, 97_950)


def test_an_update_that_cannot_be_changes_nothing(alice: Customer) -> None:
    number = alice.submit("0.1", 40000)[0]
    before = alice.row(number)

    for change in ({"amount": "9"}, {"amount": "-0.1"}, {"delta": "-0.1"}, {"price": "0"},
                   {"flags": 1}):  # fmt: skip
        assert alice.error(UPDATE, id=number, **change)[0] == 10001
    small = alice.ask(UPDATE, id=number, amount="0.00000001")
    assert small[6] == "ERROR"
    assert alice.row(number) == before
    assert alice.wallet("USD") == (100_000, 96_000)


def test_an_updated_order_can_trade_at_once(alice: Customer) -> None:
    number = alice.submit("0.1", 40000)[0]
    alice.ask(UPDATE, id=number, price="60000")

    assert alice.row(number)[13].startswith("EXECUTED @ 50")


def test_a_cancel_looks_like_the_recorded_one(alice: Customer, recordings: Path) -> None:
    number = alice.submit("0.1", 40000)[0]
    answer, theirs = alice.ask(CANCEL, id=number), recorded(recordings, "cancel order")

    assert same_shape(answer, theirs)
    assert answer[4][13] == "ACTIVE", "what was submitted, not what came of it"
    assert answer[7] == theirs[7].replace(str(theirs[4][0]), str(number))
    assert alice.error(CANCEL, id=number) == (10001, "Order not found.")


def test_a_cancel_by_cid_needs_the_day(alice: Customer, bob: Customer) -> None:
    alice.submit("0.1", 40000, cid=77)
    day = today(alice)

    assert alice.error(CANCEL, cid=77) == (10001, "cid_date: invalid")
    assert alice.error(CANCEL, cid=77, cid_date="2026-09-22") == (10001, "Order not found.")
    assert bob.error(CANCEL, cid=77, cid_date=day) == (10001, "Order not found.")
    assert alice.error(CANCEL) == (10001, "id: invalid")
    assert alice.ask(CANCEL, cid=77, cid_date=day)[4][2] == 77


def test_a_cid_may_come_twice(alice: Customer) -> None:
    assert [alice.submit("0.1", 40000, cid=9)[2] for _ in range(2)] == [9, 9]
    assert len(alice.ask("auth/r/orders")) == 2


def test_several_are_cancelled_by_id_cid_gid_or_all(alice: Customer, recordings: Path) -> None:
    path = "auth/w/order/cancel/multi"
    for more in ({"cid": 1}, {"cid": 2}, {"gid": 3}, {"gid": 3}, {"cid": 4}):
        alice.submit("0.01", 40000, **more)
    first = alice.ask("auth/r/orders")[-1]
    answer = alice.ask(path, id=[first[0]], cid=[[2, today(alice)]], gid=[3])

    theirs = recorded(recordings, "cancel multi")
    assert same_shape({**dict(enumerate(answer)), 4: answer[4][:1]},
                      {**dict(enumerate(theirs)), 4: theirs[4]})  # fmt: skip
    assert answer[7] == "Submitting 4 order cancellations."
    assert [row[2] for row in alice.ask("auth/r/orders")] == [4]
    assert len(alice.ask(path, all=1)[4]) == 1
    assert alice.ask("auth/r/orders") == []
    assert alice.error(path) == (10001, "id: invalid")
    assert alice.error(path, cid=[5]) == (10001, "cid: invalid")


def test_several_operations_are_answered_one_by_one(alice: Customer, recordings: Path) -> None:
    gone = alice.submit("0.1", 40000)[0]
    ops = [
        ["on", LIMIT],
        ["oc", {"id": gone}],
        ["oc", {"id": gone}],
        ["on", {**LIMIT, "type": "X"}],
    ]
    answer = alice.ask("auth/w/order/multi", ops=ops)

    theirs = recorded(recordings, "order multi-op")
    assert same_shape(answer[4][0], theirs[4][0])
    assert [op[6] for op in answer[4]] == ["SUCCESS", "SUCCESS", "ERROR", "ERROR"]
    assert (answer[1], answer[7]) == (theirs[1], "Submitting 4 order operations.")
    for bad in (None, [], [["ox_multi", {}]], [["on"]], [LIMIT] * 76):
        assert alice.error("auth/w/order/multi", ops=bad) == (10001, "ops: invalid")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"amount": "0.00000001"}, "Invalid order: minimum size for BTC/USD is 0.00007"),
        ({"amount": "-99999"}, "Invalid order: maximum size for BTC/USD is 300.0"),
    ],
)
def test_the_inside_refuses_by_a_notification(
    alice: Customer, recordings: Path, change: dict[str, str], text: str
) -> None:
    answer = alice.ask(SUBMIT, **{**LIMIT, "cid": 5, **change})

    lines = (recordings / "errors/ws_auth_error_frames.jsonl").read_text().splitlines()
    theirs = next(json.loads(line)[2] for line in lines if '"ERROR"' in line)
    assert answer[1] == theirs[1]
    assert answer[6:] == ["ERROR", text]
    assert answer[4][:4] == [None, None, 5, "tBTCUSD"]
    assert answer[4][8] == "EXCHANGE LIMIT"
    assert alice.ask("auth/r/orders") == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"symbol": "tNOPE"}, (10020, "symbol: invalid")),
        ({"type": "x"}, (10001, "type: invalid")),
        ({"amount": "2.6"}, (10001, f"{NOT_ENOUGH} 2.6 BTCUSD at 40000")),
        ({"amount": "-11"}, (10001, f"{NOT_ENOUGH} -11 BTCUSD at 40000")),
        ({"type": "LIMIT", "lev": 5}, (10001, "lev: invalid")),
        ({"type": "LIMIT", "symbol": "tUSTUSD", "amount": "9", "lev": 5}, (10001, "lev: invalid")),
        ({"symbol": "tBTCF0:USTF0"}, (10001, "type: invalid")),
    ],
)  # fmt: skip
def test_what_cannot_be_tried_is_an_error(
    alice: Customer, change: dict[str, Any], error: tuple[int, str]
) -> None:
    assert alice.error(SUBMIT, **{**LIMIT, **change}) == error
    assert alice.wallet("USD") == (100_000, 100_000)
    assert alice.notices() == []


def test_a_market_order_that_costs_too_much_is_refused_whole(alice: Customer) -> None:
    given = {**LIMIT, "type": "EXCHANGE MARKET", "amount": "3"}

    assert "not enough exchange balance" in alice.error(SUBMIT, **given)[1]
    assert alice.ask("auth/r/trades/hist") == []


def test_a_socket_answers_flat_and_then_tells_what_happened(
    alice: Customer, session: Session
) -> None:
    answer = say(alice, session, "on", {**LIMIT, "cid": 5})
    assert answer[0] == round(alice.clock, 3)
    assert answer[4][2] == 5, "flat"
    assert answer[6:] == ["SUCCESS", "Submitting exchange limit buy order for 0.1 BTC."]
    ((told, frames),) = alice.house.tell(alice.clock)
    assert told is session
    assert [json.loads(str(frame))[1] for frame in frames] == ["on", "wu"]
    number = answer[4][0]
    assert say(alice, session, "ou", {"id": number, "price": "41000"})[1] == "ou-req"
    assert say(alice, session, "oc", {"id": number})[1] == "oc-req"
    assert say(alice, session, "oc", {"id": number})[6:] == ["ERROR", "Order not found."]
    assert say(alice, session, "oc_multi", {"all": 1})[7] == "Submitting 0 order cancellations."
    assert say(alice, session, "ox_multi", [["on", LIMIT]])[1] == "ox_multi-req"


def test_a_socket_needs_the_permission_as_well(alice: Customer, session: Session) -> None:
    alice.house.keys.change(alice.key.key, {"orders": ["read"]}, None)

    assert say(alice, session, "on", LIMIT)[6:] == ["ERROR", "api_key: permission invalid"]


@pytest.mark.parametrize(
    "text", ["[]", "[0]", '[0,"nope",null,{}]', "[5,1,2,3]", '[0,"calc",null,[]]']
)
def test_other_inputs_get_no_answer(alice: Customer, session: Session, text: str) -> None:
    assert alice.house.streams.receive(session, text, alice.clock) == []


def test_orders_of_a_socket_can_end_with_it(alice: Customer, house: House) -> None:
    session, _ = house.streams.connect(alice.clock, "b")
    event = auth_event(alice.key.key, alice.key.secret, dms=4)
    house.streams.receive(session, event, alice.clock)
    number = alice.submit("0.1", 40000)[0]
    house.streams.disconnect(session, alice.clock)

    assert alice.row(number)[13] == "CANCELED"
