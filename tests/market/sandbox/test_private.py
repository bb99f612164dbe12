import json
from pathlib import Path
from typing import Any

import pytest

from market.sandbox.house import House
from market.sandbox.keys import Key
from market.sandbox.rules import Rates
from market.sandbox.state import Market
from market.sandbox.stream import SEQ_ALL, Close, Session
from market.sandbox.wire import Notice
from tests.market.sandbox.accounts import ALL, START, auth_event, sign


@pytest.fixture
def house() -> House:
    return House(Market(1, START, ("tBTCUSD",)), Rates(), 1)


@pytest.fixture
def key(house: House) -> Key:
    house.bank.user("you", START)
    return house.keys.issue("bot", "you", ALL, START)


@pytest.fixture
def session(house: House) -> Session:
    return house.streams.connect(START, "127.0.0.1")[0]


def say(house: House, session: Session, text: str) -> list[Any]:
    return [json.loads(str(out)) for out in house.streams.receive(session, text, START)]


def failure(house: House, session: Session, text: str) -> tuple[int, str]:
    (answer,) = say(house, session, text)
    assert (answer["event"], answer["status"], answer["chanId"]) == ("auth", "FAILED", 0)
    return answer["code"], answer["msg"]


def test_a_login_looks_like_the_recorded_one(
    house: House, session: Session, key: Key, recordings: Path
) -> None:
    lines = (recordings / "ws_auth/2021_paper_trading_login_session.jsonl").read_text().splitlines()
    recorded = [json.loads(line) for line in lines[1:]]

    welcome, *frames = say(house, session, auth_event(key.key, key.secret))
    assert welcome.keys() == recorded[0].keys()
    assert welcome["caps"].keys() >= recorded[0]["caps"].keys()
    assert welcome["caps"]["withdraw"] == {"read": 0, "write": 0}
    codes = list(dict.fromkeys(frame[1] for frame in frames))
    assert codes == [c for c in dict.fromkeys(f[1] for f in recorded[1:]) if c not in ("pu",)]
    ours, theirs = (next(f[2] for f in many if f[1] == "ws") for many in (frames, recorded[1:]))
    assert [len(row) for row in ours[:1]] == [len(row) for row in theirs[:1]]
    assert {row[4] for row in ours} == {None}, "the snapshot knows nothing of what is available"
    assert all(frame[2][4] is not None for frame in frames if frame[1] == "wu")


def test_both_official_payloads_are_signed_and_accepted(
    house: House, session: Session, key: Key
) -> None:
    once, twice = "AUTH77", "AUTH7878"
    events: list[dict[str, Any]] = [
        {"authNonce": "77", "authPayload": once, "authSig": sign(key.secret, once)},
        {"authNonce": 78, "authPayload": twice, "authSig": sign(key.secret, twice)},
    ]
    for event in events:
        text = json.dumps({"event": "auth", "apiKey": key.key, **event})
        assert say(house, session, text)[0]["status"] == "OK"
        assert say(house, session, '{"event":"unauth"}')[0]["event"] == "unauth"


def test_a_login_that_fails_says_why(house: House, session: Session, key: Key) -> None:
    text = auth_event(key.key, key.secret, 9)
    assert failure(house, session, auth_event("x", "y")) == (10100, "apikey: invalid")
    assert failure(house, session, auth_event(key.key, "y")) == (10100, "apikey: digest invalid")
    other = json.dumps({**json.loads(text), "authPayload": "AUTH8"})
    assert failure(house, session, other)[0] == 10111
    say(house, session, text)
    assert failure(house, session, text) == (10100, "auth: dup")
    fresh = house.streams.connect(START, "another")[0]
    assert failure(house, fresh, text) == (10114, "nonce: small")


def test_a_sixth_login_within_a_quarter_of_the_window_is_refused(house: House, key: Key) -> None:
    for place in range(6):
        session = house.streams.connect(START, "127.0.0.1")[0]
        welcome = say(house, session, auth_event(key.key, key.secret))[0]
        assert welcome["status"] == ("OK" if place < 5 else "FAILED")
    assert house.rules.counters.violations == {"ws_auth_rate": 1}


def test_an_account_channel_has_heartbeats_and_keeps_the_socket(
    house: House, session: Session, key: Key
) -> None:
    say(house, session, auth_event(key.key, key.secret))

    sent = [out for second in range(70) for _, outs in house.advance(START + second)
            for out in outs]  # fmt: skip
    assert sent == ['[0,"hb"]'] * 4


def test_notices_reach_the_customers_sockets_that_want_them(house: House, key: Key) -> None:
    sessions = [house.streams.connect(START, str(place))[0] for place in range(3)]
    other = house.keys.issue("", "bob", ALL, START)
    say(house, sessions[0], auth_event(key.key, key.secret))
    say(house, sessions[1], auth_event(key.key, key.secret, filter=["wallet-exchange-BTC"]))
    house.bank.user("bob", START)
    say(house, sessions[2], auth_event(other.key, other.secret))
    on = Notice("you", "on", [1, None, 2, "tBTCUSD"])
    wu = Notice("you", "wu", ["exchange", "BTC", 1])

    outs = dict(house.private.tell([on, wu], START))
    assert outs[sessions[0]] == ['[0,"on",[1,null,2,"tBTCUSD"]]', '[0,"wu",["exchange","BTC",1]]']
    assert outs[sessions[1]] == ['[0,"wu",["exchange","BTC",1]]']
    assert sessions[2] not in outs


def test_account_frames_carry_two_numbers_and_answers_one(
    house: House, session: Session, key: Key
) -> None:
    say(house, session, json.dumps({"event": "conf", "flags": SEQ_ALL}))
    say(house, session, auth_event(key.key, key.secret, filter=["balance", "notify"]))

    notices = [Notice("you", "n", [None, "on-req"]), Notice("you", "bu", [1, 2])]
    ((_, frames),) = house.private.tell(notices, START)
    assert frames == ['[0,"n",[null,"on-req"],2]', '[0,"bu",[1,2],2,3]']


def test_deleting_a_key_closes_its_sockets(house: House, session: Session, key: Key) -> None:
    say(house, session, auth_event(key.key, key.secret))

    assert house.private.key_gone(key.key) == [(session, [Close(1008, "apikey: invalid")])]
    house.streams.disconnect(session, START)
    assert house.private.key_gone(key.key) == []
