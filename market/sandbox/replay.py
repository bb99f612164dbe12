"""A recording of the real exchange as the market behind the sandbox.

Two line formats are read, plain or gzipped:

* **A**: one raw WebSocket message a line, in order of arrival, without times. It is played at
  `rate` frames a second.
* **B**: `{"ts":<s>,"dir":"open|out|in","raw":"<text of the frame>"}`. It keeps its times.

Both are scaled by `speed`. The clock starts with the first subscription, so that nothing is missed
while a client still starts, and stops at the end: the last values stay. Numbers keep the spelling
of the recording; sequence numbers, times, heartbeats and checksums in it are dropped, since each
connection gets its own. A channel's first frame is its state at the start; a later snapshot (the
recorder had subscribed again) replaces the state and is not sent to those who listen.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from market.sandbox.book import checksum
from market.sandbox.conf import Listing
from market.sandbox.prices import Pair, spell_row, split_pair
from market.sandbox.stream import SEQ_ALL, TIMESTAMP
from market.sandbox.subscriptions import read_topic
from market.sandbox.topics import Event, Refused, Row, Topic

_TRADES_KEPT = 600
_SNAPSHOT_TRADES = 30


class Played(NamedTuple):
    """One data frame: when (s since the first), on which channel, and what it said."""

    at: float
    topic: Topic
    payload: str


@dataclass(frozen=True)
class Recording:
    """The data frames of a file, in order, and its channels in the order they opened."""

    frames: tuple[Played, ...]
    topics: tuple[Topic, ...]

    @property
    def length(self) -> float:
        """Seconds from the first frame to the last."""
        return self.frames[-1].at

    @classmethod
    def read(cls, path: Path, rate: float = 50.0) -> "Recording":
        """Raises OSError, or ValueError for a file without a single channel."""
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            reader = _Reader(rate)
            for line in lines:
                if line.strip():
                    reader.line(line)
        if not reader.frames:
            raise ValueError(f"{path}: no channel data in this recording")
        return cls(tuple(reader.frames), tuple(reader.topics))


class _Reader:
    """Turns lines into frames, following channel numbers and flags as a client would."""

    def __init__(self, rate: float) -> None:
        self.frames: list[Played] = []
        self.topics: dict[Topic, None] = {}
        self._rate = rate
        self._channels: dict[str, Topic] = {}
        self._tail = 0
        self._first: float | None = None

    def line(self, line: str) -> None:
        try:
            entry = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a recording: {error}") from error
        if not isinstance(entry, dict) or "dir" not in entry:
            self._message(line.strip(), None)
        elif entry["dir"] == "in":
            self._message(entry["raw"], entry["ts"])
        elif entry["dir"] == "open":
            self._channels, self._tail = {}, 0

    def _message(self, text: str, at: float | None) -> None:
        if text.startswith("{"):
            self._event(msgspec.json.decode(text))
            return
        parts = [bytes(part).decode() for part in msgspec.json.decode(text, type=_RAWS)]
        topic = self._channels.get(parts[0])
        if topic is None and parts[0].startswith("{"):
            topic = _named(parts[0])
        body = parts[1 : len(parts) - self._tail]
        if topic is not None and body and body[0] not in ('"hb"', '"cs"'):
            self.topics[topic] = None
            self.frames.append(Played(self._when(at), topic, ",".join(body)))

    def _event(self, message: dict[str, Any]) -> None:
        if message.get("event") == "subscribed":
            topic = read_topic(message)
            self._channels[str(message["chanId"])] = topic
            self.topics[topic] = None
        elif message.get("event") == "conf":
            flags = message.get("flags", 0)
            self._tail = bool(flags & SEQ_ALL) + bool(flags & TIMESTAMP)

    def _when(self, at: float | None) -> float:
        if at is None:
            return len(self.frames) / self._rate
        if self._first is None:
            self._first = at
        return max(0.0, at - self._first)


_RAWS = list[msgspec.Raw]


def _named(text: str) -> Topic | None:
    """The channel of a frame whose number was replaced by its subscription."""
    try:
        return read_topic(msgspec.json.decode(text))
    except Refused:
        return None


@dataclass
class _Shown:
    """What a channel has shown so far: its newest text, and rows by their key."""

    text: str = ""
    rows: dict[str, str] = field(default_factory=dict)

    def start(self, topic: Topic, payload: str) -> None:
        """Take a snapshot."""
        rows = [bytes(row).decode() for row in msgspec.json.decode(payload, type=_RAWS)]
        oldest_first = rows if topic.channel == "book" else reversed(rows)
        self.rows = {_key(topic, row): row for row in oldest_first}

    def apply(self, topic: Topic, payload: str) -> None:
        if topic.channel in ("ticker", "status"):
            self.text = payload
        elif topic.channel == "trades":
            row = payload.partition(",")[2]
            self.rows[_key(topic, row)] = row
            if len(self.rows) > _TRADES_KEPT:
                del self.rows[next(iter(self.rows))]
        elif topic.channel == "book" and _is_deletion(topic, payload):
            self.rows.pop(_key(topic, payload), None)
        else:
            self.rows[_key(topic, payload)] = payload

    def newest_first(self) -> list[str]:
        return list(reversed(self.rows.values()))


def _is_snapshot(topic: Topic, payload: str) -> bool:
    if topic.channel in ("ticker", "status"):
        return False
    return payload.startswith("[[") or payload == "[]"


def _fields(row: str) -> list[str]:
    """The numbers of a row, as spelled."""
    return row[1:-1].split(",")


def _key(topic: Topic, row: str) -> str:
    """What a row replaces: a trade, a candle or an order by its first number, a level by its side.

    The side counts because a price may appear among the asks before it is deleted from the bids.
    """
    fields = _fields(row)
    if topic.channel != "book" or topic.prec == "R0":
        return fields[0]
    side = "-" if fields[-1].startswith("-") else "+"
    return ",".join((side, *fields[:-2]))


def _is_deletion(topic: Topic, row: str) -> bool:
    """P: count 0; R0: price 0 (the last but one of a funding order's three numbers)."""
    fields = _fields(row)
    return float(fields[-2] if topic.prec == "R0" or len(fields) == 4 else fields[1]) == 0


class Replay:
    """A recording behind the exchange; implements `topics.Source`."""

    def __init__(self, recording: Recording, speed: float = 1.0) -> None:
        self._recording, self._speed = recording, speed
        self._started: float | None = None
        self._now = 0.0
        self._next = 0
        self._open: set[Topic] = set()
        self._shown: dict[Topic, _Shown] = {}
        self._updates: list[Played] = []
        self._rewind()
        names = dict.fromkeys(topic.symbol for topic in recording.topics)
        self._symbols = list(names)
        self._pairs = [
            Pair(name[1:], *split_pair(name[1:])) for name in names if name.startswith("t")
        ]
        self._listing = Listing(self._pairs, ())

    def _rewind(self) -> None:
        """Take every channel's first frame as its state, the others as updates to come."""
        self._shown = {topic: _Shown() for topic in self._recording.topics}
        begun: set[Topic] = set()
        for frame in self._recording.frames:
            shown, plain = self._shown[frame.topic], frame.topic.channel in ("ticker", "status")
            if frame.topic not in begun and _is_snapshot(frame.topic, frame.payload):
                shown.start(frame.topic, frame.payload)
            elif frame.topic not in begun and plain:
                shown.text = frame.payload
            else:
                self._updates.append(frame)
            begun.add(frame.topic)

    def position(self) -> dict[str, Any]:
        """`GET /replay` of the control port; seconds of the recording."""
        done = self._next == len(self._updates)
        length = self._recording.length
        return {
            "position": length if done else max(0.0, self._at(self._now)),
            "length": length,
            "done": done,
        }

    def pairs(self) -> Sequence[str]:
        return [pair.name for pair in self._pairs]

    def symbols(self) -> Sequence[str]:
        return self._symbols

    def info(self, key: str) -> str | None:
        value = self._listing.get(key)
        return None if value is None else msgspec.json.encode(value).decode()

    def open(self, topic: Topic, now: float) -> None:
        if topic not in self._shown:
            raise Refused("symbol: invalid")
        if self._started is None:
            self._started = now
        self._open.add(topic)

    def close(self, topic: Topic) -> None:
        self._open.discard(topic)

    def snapshot(self, topic: Topic) -> list[str]:
        shown = self._shown[topic]
        if topic.channel in ("ticker", "status"):
            return [shown.text] if shown.text else []
        if topic.channel == "book":
            return [_array(row for side in _sides(topic, shown) for row in side)]
        rows = shown.newest_first()
        return [_array(rows[:_SNAPSHOT_TRADES] if topic.channel == "trades" else rows)]

    def advance(self, now: float) -> list[Event]:
        self._now = max(now, self._now)
        until = self._at(self._now)
        events: list[Event] = []
        while self._next < len(self._updates) and self._updates[self._next].at <= until:
            _, topic, payload = self._updates[self._next]
            self._next += 1
            if _is_snapshot(topic, payload):
                self._shown[topic].start(topic, payload)
                continue
            self._shown[topic].apply(topic, payload)
            if topic in self._open:
                events.append(Event(topic, [payload]))
        return events

    def checksum(self, topic: Topic) -> int | None:
        if topic.channel != "book":
            return None
        bids, asks = _sides(topic, self._shown[topic])
        return checksum(*([_checked(topic, row) for row in side] for side in (bids, asks)))

    def ticker(self, symbol: str) -> str | None:
        shown = self._shown.get(Topic("ticker", symbol))
        if shown is not None and shown.text:
            return shown.text
        return self._derived_ticker(symbol) if symbol in self._symbols else None

    def trades(self, symbol: str) -> Sequence[Row]:
        shown = self._shown.get(Topic("trades", symbol), _Shown())
        return [Row(int(_fields(row)[1]), row) for row in shown.newest_first()]

    def candles(self, key: str, start: int, end: int) -> Iterable[Row]:
        shown = self._shown.get(Topic("candles", key), _Shown())
        rows = (Row(int(_fields(row)[0]), row) for row in shown.newest_first())
        return (row for row in rows if start <= row.mts <= end)

    def book(self, symbol: str, prec: str, length: int) -> Sequence[str]:
        topic = self._book_topic(symbol, prec)
        sides = _sides(topic, self._shown[topic]) if topic else ([], [])
        return [row for side in sides for row in side[:length]]

    def status(self, symbol: str) -> str | None:
        shown = self._shown.get(Topic("status", f"deriv:{symbol}"))
        return shown.text or None if shown else None

    def control(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise Refused(f"{command}: not with a recording")

    def _at(self, now: float) -> float:
        """Seconds of the recording that have been played."""
        if self._started is None:
            return -1.0
        return min((now - self._started) * self._speed, self._recording.length)

    def _book_topic(self, symbol: str, prec: str) -> Topic | None:
        found = (t for t in self._shown if (t.channel, t.key, t.prec) == ("book", symbol, prec))
        return next(found, None)

    def _derived_ticker(self, symbol: str) -> str:
        """A ticker for a recording without one: from its best book rows and its trades."""
        rows = [_fields(row.text) for row in self.trades(symbol)]
        prices = [float(row[3]) for row in rows]
        topic = self._book_topic(symbol, "P0")
        sides = _sides(topic, self._shown[topic]) if topic else ([], [])
        best = [float(_fields(side[0])[0]) if side else None for side in sides]
        sizes = [sum(abs(float(_fields(row)[2])) for row in side[:25]) for side in sides]
        volume = sum(abs(float(row[2])) for row in rows)
        last = prices[0] if prices else best[0]
        return spell_row(
            best[0], round(sizes[0], 8) if sizes else 0, best[1],
            round(sizes[1], 8) if sizes else 0, 0, 0, last, round(volume, 8),
            max(prices, default=last), min(prices, default=last),
        )  # fmt: skip


def _sides(topic: Topic, shown: _Shown) -> tuple[list[str], list[str]]:
    """The rows of a book as bids and asks, best first."""
    funding = topic.key.startswith("f")
    price = 1 if topic.prec == "R0" and not funding else 2 if topic.prec == "R0" else 0
    bids: list[tuple[float, str]] = []
    asks: list[tuple[float, str]] = []
    for row in shown.rows.values():
        fields = _fields(row)
        bid = (float(fields[-1]) > 0) != funding
        (bids if bid else asks).append((float(fields[price]), row))
    bids.sort(key=lambda entry: -entry[0])
    asks.sort(key=lambda entry: entry[0])
    return [row for _, row in bids], [row for _, row in asks]


def _checked(topic: Topic, row: str) -> str:
    fields = _fields(row)
    return f"{fields[0]}:{fields[-1]}"


def _array(texts: Iterable[str] | Iterator[str]) -> str:
    return "[" + ",".join(texts) + "]"
