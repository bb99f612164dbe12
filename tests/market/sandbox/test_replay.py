import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from market.sandbox.replay import Recording, Replay
from market.sandbox.topics import Event, Refused, Topic

EIGHT = "ws_public/2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"
YEN = Topic("ticker", "tETHJPY")
YEN_TRADES = Topic("trades", "tETHJPY")
YEN_BOOK = Topic("book", "tETHJPY", "P0", "F0", "100")


@pytest.fixture(scope="module")
def eight(recordings: Path) -> Recording:
    return Recording.read(recordings / EIGHT)


@pytest.fixture(scope="module")
def incoming(recordings: Path) -> list[str]:
    """The frames the recorder received, as spelled."""
    with gzip.open(recordings / EIGHT, "rt") as lines:
        entries = map(json.loads, lines)
        return [entry["raw"] for entry in entries if entry["dir"] == "in"]


def payloads(incoming: list[str], topic: Topic) -> list[str]:
    """What one channel said in the recording, without channel, sequence and heartbeats."""
    acks = [json.loads(text) for text in incoming if text.startswith("{")]
    channel = next(
        ack["chanId"]
        for ack in acks
        if (ack.get("channel"), ack.get("symbol")) == (topic.channel, topic.key)
    )
    frames = [text for text in incoming if text.startswith(f"[{channel},")]
    bodies = [text[len(f"[{channel},") : text.rindex(",")] for text in frames]
    return [body for body in bodies if body != '"hb"']


def played(replay: Replay, until: float, *topics: Topic) -> list[Event]:
    for topic in topics:
        replay.open(topic, 0.0)
    return replay.advance(until)


def test_the_recording_has_its_pairs_and_its_length(eight: Recording) -> None:
    replay = Replay(eight)

    assert set(replay.pairs()) == {
        "ETH2X:ETH", "REQUSD", "GTXUST", "CHZUST", "KNCBTC", "ETHJPY", "ZRXETH", "LRCBTC",
    }  # fmt: skip
    assert eight.length == pytest.approx(119.33, abs=0.01)
    assert json.loads(replay.info("pub:list:pair:exchange") or "") == list(replay.pairs())
    assert replay.info("pub:nope") is None


@pytest.mark.parametrize("topic", [YEN, YEN_TRADES, YEN_BOOK], ids=lambda topic: topic.channel)
def test_a_channel_says_exactly_what_was_recorded(
    eight: Recording, incoming: list[str], topic: Topic
) -> None:
    replay = Replay(eight)
    recorded = payloads(incoming, topic)

    replay.open(topic, 0.0)
    assert replay.snapshot(topic) == recorded[:1]
    said = [event.payloads[0] for second in range(121) for event in replay.advance(float(second))]
    assert said == recorded[1:]


def test_a_late_client_gets_what_the_early_one_has(eight: Recording) -> None:
    replay = Replay(eight)
    replay.open(YEN_BOOK, 0.0)
    shown = {row[0]: row for row in json.loads(replay.snapshot(YEN_BOOK)[0])}
    for event in replay.advance(100.0):
        row = json.loads(event.payloads[0])
        shown[row[0]] = row
        if not row[1]:
            del shown[row[0]]

    late: list[list[float]] = json.loads(replay.snapshot(YEN_BOOK)[0])
    assert sorted(late) == sorted(shown.values())
    bids = [row[0] for row in late if row[2] > 0]
    assert bids == sorted(bids, reverse=True)
    assert [json.loads(row) for row in replay.book("tETHJPY", "P0", 1)] == [
        late[0],
        late[len(bids)],
    ]


def test_late_trades_are_newest_first_and_thirty(eight: Recording, incoming: list[str]) -> None:
    replay = Replay(eight)
    played(replay, 200.0, YEN_TRADES)

    rows = json.loads(replay.snapshot(YEN_TRADES)[0])
    assert len(rows) == 30
    assert rows[0] == json.loads(payloads(incoming, YEN_TRADES)[-1].partition(",")[2])
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)
    assert replay.trades("tETHJPY")[0].mts == rows[0][1]


def test_the_clock_starts_with_the_first_subscription_and_stops_at_the_end(
    eight: Recording,
) -> None:
    replay = Replay(eight)
    replay.advance(1000.0)
    assert replay.position() == {"position": 0.0, "length": eight.length, "done": False}

    replay.open(YEN, 1000.0)
    replay.advance(1060.0)
    assert replay.position()["position"] == 60.0
    replay.advance(5000.0)
    assert replay.position() == {"position": eight.length, "length": eight.length, "done": True}


def test_speed_scales_the_recorded_times(eight: Recording) -> None:
    slow, fast = Replay(eight), Replay(eight, speed=10.0)

    assert played(slow, 50.0, YEN) == played(fast, 5.0, YEN)


def test_rest_answers_the_newest_replayed_ticker(eight: Recording, incoming: list[str]) -> None:
    replay = Replay(eight)
    recorded = payloads(incoming, YEN)

    assert replay.ticker("tETHJPY") == recorded[0], "before its first frame was played"
    played(replay, 60.0, YEN)
    assert replay.ticker("tETHJPY") in recorded[1:-1]
    replay.advance(500.0)
    assert replay.ticker("tETHJPY") == recorded[-1]


@pytest.mark.parametrize("topic", [Topic("ticker", "tBTCUSD"), Topic("book", "tETHJPY", "R0")])
def test_channels_that_were_not_recorded_are_refused(eight: Recording, topic: Topic) -> None:
    with pytest.raises(Refused, match="symbol: invalid"):
        Replay(eight).open(topic, 0.0)


def test_a_recording_cannot_be_steered(eight: Recording) -> None:
    with pytest.raises(Refused):
        Replay(eight).control("price", {"symbol": "tETHJPY", "price": 1})


def test_frames_without_times_are_played_at_a_rate(recordings: Path) -> None:
    path = recordings / "ws_public/2018-11-12_tBTCUSD_first5000.jsonl"
    recording = Recording.read(path, rate=100.0)
    book = Topic("book", "tBTCUSD", "P0", "F0", "100")
    replay = Replay(recording)

    assert recording.length == pytest.approx(len(recording.frames) / 100, abs=0.02)
    assert len(played(replay, 10.0, book, Topic("trades", "tBTCUSD"))) == pytest.approx(1000, abs=3)


def test_a_recording_without_tickers_has_one_made_of_book_and_trades(recordings: Path) -> None:
    path = recordings / "ws_public/2018-11-12_tBTCUSD_first5000.jsonl"
    row: list[Any] = json.loads(Replay(Recording.read(path)).ticker("tBTCUSD") or "")

    assert (row[0], row[6]) == (6443, 6443.1)
    assert row[0] < row[2]


def test_frames_named_by_their_subscription_are_understood(recordings: Path) -> None:
    path = recordings / "ws_public/2021-2022_crypto-msg-parser_frames.jsonl"
    replay = Replay(Recording.read(path))
    candles = Topic("candles", "trade:1m:tBTCUST")

    assert {"tBTCUST", "tBTCF0:USTF0"} <= set(replay.symbols())
    replay.open(candles, 0.0)
    assert len(json.loads(replay.snapshot(candles)[0])) == 3
    replay.advance(100.0)
    assert len(list(replay.candles(candles.key, 0, 1 << 60))) == 4
    raw = Topic("book", "tBTCUST", "R0", "F0", "250")
    assert json.loads(replay.snapshot(raw)[0])[0] == [96118584550, 31535, 0.01586]


def test_a_level_may_change_sides_before_it_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "sides.jsonl"
    path.write_text(
        '{"event":"subscribed","channel":"book","chanId":5,"symbol":"tBTCUSD","prec":"P0",'
        '"freq":"F0","len":"25","pair":"BTCUSD"}\n'
        "[5,[[100,1,2],[101,1,-2]]]\n"
        "[5,[100,1,-3]]\n"
        "[5,[100,0,1]]\n"
    )
    replay = Replay(Recording.read(path))

    played(replay, 10.0, Topic("book", "tBTCUSD", "P0", "F0", "25"))
    assert replay.book("tBTCUSD", "P0", 25) == ["[100,1,-3]", "[101,1,-2]"]


def test_numbering_of_the_recorder_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "timed.jsonl"
    path.write_text(
        '{"event":"conf","status":"OK","flags":98304}\n'
        '{"event":"subscribed","channel":"trades","chanId":5,"symbol":"tBTCUSD","pair":"BTCUSD"}\n'
        "[5,[[1,2,0.5,3]],1,1700000000000]\n"
        '[5,"hb",2,1700000000001]\n'
        '[5,"te",[2,3,1e-8,3.10],3,1700000000002]\n'
    )
    replay = Replay(Recording.read(path, rate=1.0))

    events = played(replay, 10.0, Topic("trades", "tBTCUSD"))
    assert [event.payloads for event in events] == [['"te",[2,3,1e-8,3.10]']]


@pytest.mark.parametrize("text", ["", "not json\n", '{"event":"info","version":2}\n'])
def test_a_file_without_channels_is_no_recording(tmp_path: Path, text: str) -> None:
    path = tmp_path / "none.jsonl"
    path.write_text(text)

    with pytest.raises(ValueError, match="recording"):
        Recording.read(path)
