import json
from typing import Any

import pytest

from market.sandbox import rest
from market.sandbox.faults import MALFORMED, Faults
from market.sandbox.rest_faults import Spoiled, Stopped
from market.sandbox.rules import Rates, Rules
from market.sandbox.state import Market
from market.sandbox.stream import SEQ_ALL, Abort, Close, Session, Stall, Streams
from market.sandbox.topics import Refused

START = 1_790_134_414.85
GOOD = rest.Reply(200, '[["tBTCUSD",1,2]]')


@pytest.fixture
def streams() -> Streams:
    return Streams(Market(1, START, ("tBTCUSD",)), Rules(Rates()), seed=1)


@pytest.fixture
def faults(streams: Streams) -> Faults:
    return Faults(streams)


def join(streams: Streams) -> Session:
    return streams.connect(START)[0]


def subscribe(streams: Streams, session: Session, channel: str = "trades") -> list[Any]:
    text = json.dumps({"event": "subscribe", "channel": channel, "symbol": "tBTCUSD"})
    return [json.loads(str(out)) for out in streams.receive(session, text, START)]


def test_an_unknown_fault_is_refused(faults: Faults) -> None:
    with pytest.raises(Refused, match="no such fault"):
        faults.start("nope", {})


def test_a_fault_hits_all_connections_or_the_oldest(streams: Streams, faults: Faults) -> None:
    first, second = join(streams), join(streams)

    assert faults.start("reset", {}) == [(first, [Abort()]), (second, [Abort()])]
    assert faults.start("half_open", {"connections": 1}) == [(first, [Stall()])]
    assert len(faults.start("close", {"connections": "all"})) == 2


def test_silence_lasts_until_the_faults_end_and_then_cuts(streams: Streams, faults: Faults) -> None:
    hurt = join(streams)
    faults.start("silence", {"new": True})
    later = join(streams)

    assert (hurt.silent, later.silent) == (True, True)
    assert faults.stop() == [(hurt, [Abort()]), (later, [Abort()])]
    assert not join(streams).silent


def test_a_connection_can_be_closed_with_any_code(streams: Streams, faults: Faults) -> None:
    session = join(streams)

    outs = faults.start("close", {"code": 1012, "reason": "restart"})
    assert outs == [(session, [Close(1012, "restart")])]


def test_handshakes_are_refused_as_often_as_asked(faults: Faults) -> None:
    faults.start("refuse", {"status": 502, "times": 2})

    assert [faults.refused() for _ in range(3)] == [502, 502, None]


def test_malformed_frames_name_a_real_channel(streams: Streams, faults: Faults) -> None:
    session = join(streams)
    channel = subscribe(streams, session)[0]["chanId"]

    ((_, frames),) = faults.start("malformed", {"frames": ["short", "json"]})
    assert frames == [f"[{channel},[1]]", MALFORMED["json"]]
    ((_, all_frames),) = faults.start("malformed", {})
    assert len(all_frames) == len(MALFORMED)


def test_any_text_can_be_sent_as_a_frame(streams: Streams, faults: Faults) -> None:
    session = join(streams)

    assert faults.start("text", {"text": "{}"}) == [(session, ["{}"])]


def test_a_gap_leaves_numbers_out(streams: Streams, faults: Faults) -> None:
    session = join(streams)
    session.flags = SEQ_ALL
    before = subscribe(streams, session)[1][-1]

    faults.start("gap", {"count": 3})
    assert subscribe(streams, session, "ticker")[1][-1] == before + 4


def test_data_can_come_before_or_without_the_acknowledgement(
    streams: Streams, faults: Faults
) -> None:
    faults.start("early", {})
    early = subscribe(streams, join(streams))
    faults.start("mute", {})
    mute = subscribe(streams, join(streams))

    assert isinstance(early[0], list)
    assert early[1]["event"] == "subscribed"
    assert len(mute) == 1
    assert subscribe(streams, join(streams))[0]["event"] == "subscribed"


@pytest.mark.parametrize("code", [20051, 20060, 20061])
def test_info_events_are_sent_on_demand(streams: Streams, faults: Faults, code: int) -> None:
    join(streams)

    ((_, (text,)),) = faults.start("info", {"code": code})
    assert json.loads(str(text)).items() >= {"event": "info", "code": code}.items()


def test_maintenance_shows_everywhere_and_its_end_too(streams: Streams, faults: Faults) -> None:
    join(streams)
    ((_, (begin,)),) = faults.start("maintenance", {"rest": True})

    assert json.loads(str(begin))["code"] == 20060
    assert '"platform":{"status":0}' in str(streams.connect(START)[1][0])
    assert faults.stop_call("tickers") == Stopped(Spoiled(rest.error(20060, "maintenance")))
    assert faults.stop_call("platform/status") is None

    end = faults.start("maintenance", {"on": False})
    assert json.loads(str(end[0][1][0]))["code"] == 20061
    assert faults.stop_call("tickers") is None


def test_the_end_of_faults_ends_maintenance(streams: Streams, faults: Faults) -> None:
    faults.start("maintenance", {})
    faults.stop()

    assert streams.platform == 1


def test_faults_end_together(streams: Streams, faults: Faults) -> None:
    for kind in ("refuse", "status", "early", "mute", "checksum", "freeze"):
        faults.start(kind, {})
    faults.stop()

    assert faults.refused() is None
    assert faults.spoil("conf", GOOD).reply == GOOD
    assert (streams.early, streams.mute, streams.wrong_checksums) == (0, 0, 0)
    assert streams.source.control("freeze", {"on": False}) == {"frozen": 0}
