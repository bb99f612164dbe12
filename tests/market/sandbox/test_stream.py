import json
from typing import Any

import pytest

from market.sandbox.rules import Rates, Rules
from market.sandbox.state import Market
from market.sandbox.stream import (
    BULK_UPDATES,
    OB_CHECKSUM,
    SEQ_ALL,
    TIMESTAMP,
    Abort,
    Out,
    Session,
    Streams,
)
from market.sandbox.topics import Topic

START = 1_790_134_414.85
SYMBOLS = ("tBTCUSD", "tETHUSD", "tTESTBTC:TESTUSD", "tBTCF0:USTF0", "fUSD")


class Peer:
    """One client of a small exchange, whose time the test decides."""

    def __init__(self, rates: str = "") -> None:
        self.rules = Rules(Rates.read(rates))
        self.market = Market(1, START, SYMBOLS)
        self.streams = Streams(self.market, self.rules, seed=1)
        self.session, self.greeting = self.streams.connect(START)

    def say(self, now: float = START, **message: Any) -> list[Any]:
        return decoded(self.streams.receive(self.session, json.dumps(message), now))

    def subscribe(self, channel: str = "ticker", symbol: str = "tBTCUSD", **more: Any) -> list[Any]:
        return self.say(event="subscribe", channel=channel, symbol=symbol, **more)

    def hear(self, now: float) -> list[Any]:
        heard = dict(self.streams.advance(now))
        return decoded(heard.get(self.session, []))


def decoded(outs: list[Out]) -> list[Any]:
    return [json.loads(out) if isinstance(out, str) else out for out in outs]


@pytest.fixture
def peer() -> Peer:
    return Peer()


def test_the_server_speaks_first(peer: Peer) -> None:
    (info,) = decoded(peer.greeting)

    assert info["event"] == "info"
    assert (info["version"], info["platform"]) == (2, {"status": 1})
    assert len(info["serverId"]) == 36


def test_a_ticker_subscription_is_acknowledged_and_answered_at_once(peer: Peer) -> None:
    ack, frame = peer.subscribe()

    channel = ack["chanId"]
    assert ack == {
        "event": "subscribed", "channel": "ticker", "chanId": channel,
        "symbol": "tBTCUSD", "pair": "BTCUSD",
    }  # fmt: skip
    assert frame == [channel, json.loads(peer.market.ticker("tBTCUSD") or "")]


def test_the_ack_of_funding_has_a_currency_and_that_of_a_book_its_strings(peer: Peer) -> None:
    funding, _ = peer.subscribe("trades", "fUSD", subId="mine")
    book, _ = peer.subscribe("book", "tBTCUSD", len=25)

    assert (funding["currency"], funding["subId"]) == ("USD", "mine")
    assert "pair" not in funding
    assert [book[key] for key in ("prec", "freq", "len", "pair")] == ["P0", "F0", "25", "BTCUSD"]


def test_a_symbol_may_lack_its_t_or_come_as_a_pair(peer: Peer) -> None:
    with_t = peer.say(event="subscribe", channel="ticker", symbol="BTCUSD")[0]
    as_pair = peer.say(event="subscribe", channel="ticker", pair="ETHUSD")[0]

    assert (with_t["symbol"], as_pair["symbol"]) == ("tBTCUSD", "tETHUSD")


def test_candles_and_status_are_named_by_key(peer: Peer) -> None:
    ack, snapshot = peer.say(event="subscribe", channel="candles", key="trade:1m:tBTCUSD")
    status, row = peer.say(event="subscribe", channel="status", key="deriv:tBTCF0:USTF0")

    assert ack["key"] == "trade:1m:tBTCUSD"
    assert len(snapshot[1]) > 100
    assert snapshot[1][0][0] > snapshot[1][1][0]
    assert (status["key"], len(row[1])) == ("deriv:tBTCF0:USTF0", 23)


def test_an_unknown_status_key_gets_no_reply(peer: Peer) -> None:
    assert peer.say(event="subscribe", channel="status", key="deriv:tNOPE") == []


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ({"channel": "ticker", "symbol": "tNOPE"}, 10300, "symbol: invalid"),
        ({"channel": "book", "symbol": "tBTCUSD", "prec": "P9"}, 10300, "precision: invalid"),
        ({"channel": "book", "symbol": "tBTCUSD", "len": "7"}, 10300, "length: invalid"),
        ({"channel": "candles", "key": "x"}, 10300, "key: invalid"),
        ({"channel": "nope", "symbol": "tBTCUSD"}, 10300, "channel: unknown"),
        ({"symbol": "tBTCUSD"}, 10302, "channel: unknown"),
    ],
)
def test_a_refused_subscription_is_echoed_with_its_code(
    peer: Peer, message: dict[str, Any], code: int, text: str
) -> None:
    (error,) = peer.say(event="subscribe", **message)

    assert (error["event"], error["code"], error["msg"]) == ("error", code, text)
    assert message.items() <= error.items()
    assert peer.rules.counters.errors == {str(code): 1}


def test_a_second_subscription_names_the_channel_of_the_first(peer: Peer) -> None:
    channel = peer.subscribe()[0]["chanId"]
    (error,) = peer.subscribe()

    assert (error["code"], error["chanId"], error["pair"]) == (10301, channel, "BTCUSD")
    assert peer.subscribe("book", "tBTCUSD", prec="P0")[0]["event"] == "subscribed"
    assert peer.subscribe("book", "tBTCUSD", prec="P1")[0]["event"] == "subscribed"


def test_the_channel_over_the_limit_is_refused_and_the_others_live_on() -> None:
    peer = Peer('{"channels": 2}')
    peer.subscribe()
    first = peer.subscribe("trades")[0]["chanId"]

    assert peer.subscribe("trades", "tETHUSD")[0]["code"] == 10305
    assert peer.say(event="unsubscribe", chanId=first)[0]["event"] == "unsubscribed"
    assert peer.subscribe("trades", "tETHUSD")[0]["event"] == "subscribed"
    assert peer.rules.counters.violations == {"ws_channels": 1}


def test_an_unsubscribed_channel_is_silent(peer: Peer) -> None:
    channel = peer.subscribe("trades")[0]["chanId"]

    assert peer.say(event="unsubscribe", chanId=channel) == [
        {"event": "unsubscribed", "status": "OK", "chanId": channel}
    ]
    assert peer.hear(START + 50) == []
    assert peer.say(event="unsubscribe", chanId=channel)[0]["code"] == 10400


def test_ping_is_answered_with_its_number_and_the_time(peer: Peer) -> None:
    assert peer.say(event="ping", cid=7) == [{"event": "pong", "ts": int(START * 1000), "cid": 7}]


@pytest.mark.parametrize("text", ["nonsense", "", "[1,2]", "17", '{"event":', "null"])
def test_what_is_no_object_gets_no_answer(peer: Peer, text: str) -> None:
    assert peer.streams.receive(peer.session, text, START) == []


def test_an_unknown_event_is_an_error(peer: Peer) -> None:
    (error,) = peer.say(event="nope")

    assert (error["code"], error["msg"]) == (10000, "event: invalid (nope)")
    assert peer.say(event=["subscribe"])[0]["code"] == 10000


def test_with_seq_all_every_array_frame_is_numbered_from_one(peer: Peer) -> None:
    assert peer.say(event="conf", flags=SEQ_ALL) == [
        {"event": "conf", "status": "OK", "flags": SEQ_ALL}
    ]
    frames = peer.subscribe("trades") + peer.subscribe("book") + peer.hear(START + 30)

    numbers = [frame[-1] for frame in frames if isinstance(frame, list)]
    assert numbers == list(range(1, len(numbers) + 1))
    kinds = {frame[1] for frame in frames if isinstance(frame, list) and isinstance(frame[1], str)}
    assert kinds == {"te", "tu", "hb"}


def test_the_time_stands_behind_the_number(peer: Peer) -> None:
    peer.say(event="conf", flags=SEQ_ALL | TIMESTAMP)

    assert peer.subscribe()[1][2:] == [1, int(START * 1000)]


@pytest.mark.parametrize("flags", ["65536", None, -1, True])
def test_flags_that_are_no_number_are_refused(peer: Peer, flags: Any) -> None:
    assert peer.say(event="conf", flags=flags)[0]["code"] == 10050


def test_books_carry_checksums_of_what_was_sent(peer: Peer) -> None:
    peer.say(event="conf", flags=OB_CHECKSUM)
    peer.subscribe("book")
    topic = Topic("book", "tBTCUSD", "P0", "F0", "25")

    frames = peer.hear(START + 5)
    assert frames[-1][1:] == ["cs", peer.market.checksum(topic)]
    assert [frame for frame in frames[:-1] if frame[1] == "cs"] == []


def test_bulk_updates_come_as_lists(peer: Peer) -> None:
    peer.say(event="conf", flags=BULK_UPDATES)
    peer.subscribe("book")

    assert all(isinstance(frame[1][0], list) for frame in peer.hear(START + 5))


def test_every_channel_has_a_heartbeat_every_15_seconds_busy_or_quiet(peer: Peer) -> None:
    peer.subscribe("trades", "tTESTBTC:TESTUSD")
    peer.subscribe("trades", "tBTCUSD")
    beats = [
        (tenth / 10, frame[0])
        for tenth in range(450)
        for frame in peer.hear(START + tenth / 10)
        if frame[1] == "hb"
    ]

    channels = set(peer.session.channels)
    assert [time for time, _ in beats] == [15.0, 15.0, 30.0, 30.0]
    assert {channel for _, channel in beats} == channels


def test_a_socket_without_a_subscription_is_cut_after_a_minute(peer: Peer) -> None:
    assert peer.hear(START + 59.9) == []
    assert peer.hear(START + 60) == [Abort()]


def test_the_minute_begins_anew_when_the_last_channel_is_left(peer: Peer) -> None:
    channel = peer.subscribe()[0]["chanId"]
    peer.hear(START + 100)
    peer.say(now=START + 100, event="unsubscribe", chanId=channel)

    assert peer.hear(START + 159) == []
    assert peer.hear(START + 160) == [Abort()]


def test_a_frame_goes_to_all_who_listen_with_their_own_channel_and_number(peer: Peer) -> None:
    other, _ = peer.streams.connect(START)
    other.flags = SEQ_ALL
    text = json.dumps({"event": "subscribe", "channel": "trades", "symbol": "tBTCUSD"})
    peer.streams.receive(other, text, START)
    peer.subscribe("trades")

    heard = dict(peer.streams.advance(START + 10))
    mine, theirs = decoded(heard[peer.session]), decoded(heard[other])
    assert [frame[1:] for frame in mine] == [frame[1:-1] for frame in theirs]
    assert mine[0][0] != theirs[0][0]


def test_a_disconnected_client_is_forgotten(peer: Peer) -> None:
    peer.subscribe("book")
    peer.streams.disconnect(peer.session)

    assert peer.streams.advance(START + 30) == []
    assert peer.streams.open_channels() == 0


def test_sessions_are_told_apart_even_when_they_are_equal() -> None:
    assert Session(0, 1) != Session(0, 1)
