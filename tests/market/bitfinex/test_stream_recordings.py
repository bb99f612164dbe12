"""The stream protocol on real recordings, frame by frame."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from market.bitfinex import events
from market.bitfinex.events import Channel, Event
from market.bitfinex.stream import StreamProtocol

FAULTS = (events.Dropped, events.SequenceGap, events.Distrusted)


def channel_of(request: dict[str, str]) -> Channel:
    target = request.get("symbol") or request["key"]
    if request["channel"] != "book":
        return Channel(request["channel"], target)  # type: ignore[arg-type]
    return Channel("book", target, request["prec"], request["len"])


def frames_2021(recordings: Path) -> Iterator[dict[str, str]]:
    path = recordings / "ws_public/2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"
    with gzip.open(path, "rt") as file:
        for line in file:
            yield json.loads(line)


def test_the_sequenced_recording_is_understood_to_the_last_frame(recordings: Path) -> None:
    protocol = StreamProtocol(0)
    seen: Counter[type] = Counter()
    snapshots = 0
    for now, frame in enumerate(frames_2021(recordings)):
        if frame["dir"] == "out" and '"subscribe"' in frame["raw"]:
            request = json.loads(frame["raw"])
            sent = json.loads(protocol.subscribe(channel_of(request), now))
            assert sent == request
        if frame["dir"] == "in":
            (event,) = protocol.receive(frame["raw"], now)
            seen[type(event)] += 1
            snapshots += isinstance(event, events.BookSeen) and event.snapshot
    assert seen == {
        events.Welcomed: 1,
        events.Configured: 1,
        events.Subscribed: 24,
        events.TickerSeen: 58,
        events.TradesSeen: 8,
        events.TradeSeen: 8,
        events.TradeRepeated: 8,
        events.BookSeen: 22_466 + 8,
        events.Heartbeat: 93,
    }
    assert snapshots == 8
    assert sum(seen.values()) - 26 == 22_649
    assert len(protocol.live) == 24


def test_one_frame_left_out_of_the_recording_is_one_gap(recordings: Path) -> None:
    protocol = StreamProtocol(0)
    found: list[Event] = []
    for number, frame in enumerate(frames_2021(recordings)):
        if frame["dir"] == "out" and '"subscribe"' in frame["raw"]:
            protocol.subscribe(channel_of(json.loads(frame["raw"])), 0)
        if frame["dir"] == "in" and number != 5_000:
            found += protocol.receive(frame["raw"], 0)
    (gap,) = [event for event in found if isinstance(event, events.SequenceGap)]
    assert gap.got == gap.expected + 1


def test_the_recording_of_2018_is_understood(recordings: Path) -> None:
    protocol = StreamProtocol(0)
    seen: Counter[type] = Counter()
    lines = (recordings / "ws_public/2018-11-12_tBTCUSD_first5000.jsonl").read_text().splitlines()
    for line in lines:
        if '"subscribed"' in line:
            protocol.subscribe(channel_of(json.loads(line)), 0)
        for event in protocol.receive(line, 0):
            seen[type(event)] += 1
    assert sum(seen.values()) == len(lines) == 5_000
    assert not any(kind in seen for kind in FAULTS)
    assert seen[events.Subscribed] == 2
    assert seen[events.TradeRepeated] <= seen[events.TradeSeen]


def single_frames(recordings: Path) -> list[list[object]]:
    path = recordings / "ws_public/2021-2022_crypto-msg-parser_frames.jsonl"
    frames = [json.loads(line) for line in path.read_text().splitlines()]
    return [frame for frame in frames if isinstance(frame[0], dict)]


def test_single_frames_of_2021_and_2022_are_understood(recordings: Path) -> None:
    """Their recorder put the subscription in the place of its number."""
    kinds: Counter[type] = Counter()
    for subscription, *body in single_frames(recordings):
        assert isinstance(subscription, dict)
        protocol = StreamProtocol(0)
        protocol.subscribe(channel_of(subscription), 0)
        protocol.receive(json.dumps({"event": "subscribed", "chanId": 1, **subscription}), 0)
        (event,) = protocol.receive(json.dumps([1, *body]), 0)
        kinds[type(event)] += 1
    assert kinds == {
        events.TradeSeen: 4,
        events.TradesSeen: 2,
        events.BookSeen: 8,
        events.CandlesSeen: 4,
        events.TickerSeen: 2,
    }


CAPTURED = {  # chanId → what was subscribed, as its frames tell
    759362: Channel("book", "tBTCF0:USTF0", "P0", "25"),
    765277: Channel("book", "tAVAXF0:USTF0", "P0", "25"),
    288922: Channel("book", "tETHF0:USTF0", "P0", "25"),
    853691: Channel("book", "tSOLF0:USTF0", "P0", "25"),
    759363: Channel("status", "deriv:tBTCF0:USTF0"),
    761045: Channel("ticker", "tBTCUSD"),
}


@pytest.fixture
def captured(recordings: Path) -> list[str]:
    path = recordings / "ws_public/2026-09-22_observatory_captured_frames.jsonl"
    return path.read_text().splitlines()


def test_frames_captured_in_2026_are_understood(captured: list[str]) -> None:
    """Each is from a connection of its own, some of them numbered, some with the time besides."""
    for line in captured:
        frame = json.loads(line)
        protocol = StreamProtocol(0)
        if isinstance(frame, dict):
            if "channel" in frame:
                protocol.subscribe(channel_of(frame), 0)
        else:
            numbered = {288922: 65536, 853691: 65536 + 32768}.get(frame[0], 0)
            protocol.receive(json.dumps({"event": "conf", "status": "OK", "flags": numbered}), 0)
            protocol.subscribe(CAPTURED[frame[0]], 0)
            request = CAPTURED[frame[0]].request()
            answer = {"event": "subscribed", "chanId": frame[0], **request}
            protocol.receive(json.dumps(answer), 0)
        event = protocol.receive(line, 0)[-1]
        assert not isinstance(event, events.Dropped | events.Notice), line


def test_refusals_captured_in_2026_keep_their_meaning(captured: list[str]) -> None:
    meanings = []
    for line in captured:
        frame = json.loads(line)
        if isinstance(frame, dict) and frame["event"] == "error":
            protocol = StreamProtocol(0)
            protocol.subscribe(channel_of(frame), 0)
            meanings += [type(event) for event in protocol.receive(line, 0)]
    assert meanings == [events.Subscribed, events.Full, events.Refused]
