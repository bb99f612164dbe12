"""The exchange's side of WebSocket v2: one `Session` a connection, `Streams` for all of them.

No socket and no clock: text and time go in, frames and actions come out, the caller carries them.
Facts are those of docs.bitfinex.com (ws-general, ws-public) and of recorded frames; where a
recording differs from the documentation, the recording holds.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec

from market.sandbox.rules import Rules
from market.sandbox.subscriptions import ack_fields, pair_field, read_topic
from market.sandbox.topics import Event, Refused, Source, Topic

TIMESTAMP, SEQ_ALL, OB_CHECKSUM, BULK_UPDATES = 32768, 65536, 131072, 536870912

HEARTBEAT_SECONDS = 15.0
IDLE_SECONDS = 60.0
"""A socket without any subscription is cut after this long, without a close frame."""


class Close(NamedTuple):
    """End the connection with a close frame."""

    code: int
    reason: str


class Abort(NamedTuple):
    """Cut the connection without a word."""


class Stall(NamedTuple):
    """Half-open: neither read nor write any more, and leave the socket open."""


Out = str | Close | Abort | Stall


def event_text(event: str, **fields: Any) -> str:
    return msgspec.json.encode({"event": event, **fields}).decode()


def info_text(code: int, message: str) -> str:
    """`20051` restart, `20060` maintenance begins, `20061` maintenance has ended."""
    return event_text("info", code=code, msg=message)


@dataclass(eq=False)
class Session:
    """One connection: its flags, its channels, its sequence numbers.

    `silent` and `stalled` are faults: whatever the session says is lost on the way.
    """

    opened: float
    next_channel: int
    address: str = ""
    flags: int = 0
    sequence: int = 0
    channels: dict[int, Topic] = field(default_factory=dict)
    numbers: dict[Topic, int] = field(default_factory=dict)
    beats: dict[int, float] = field(default_factory=dict)
    idle_since: float = 0.0
    due: float = 0.0
    silent: bool = False
    stalled: bool = False

    def __post_init__(self) -> None:
        self.idle_since = self.opened
        self.due = self.opened + IDLE_SECONDS

    def add(self, topic: Topic, now: float) -> int:
        """Give a topic its channel number."""
        self.next_channel += 1
        channel = self.next_channel
        self.channels[channel] = topic
        self.numbers[topic] = channel
        self.beats[channel] = now + HEARTBEAT_SECONDS
        self.due = min(self.due, self.beats[channel])
        return channel

    def drop(self, channel: int, now: float) -> Topic:
        topic = self.channels.pop(channel)
        del self.numbers[topic], self.beats[channel]
        self.idle_since = now
        self.due = min(self.due, now + IDLE_SECONDS)
        return topic

    def frame(self, channel: int, payload: str, now: float) -> str:
        """`[CH,payload]` with the sequence number and time the flags ask for."""
        tail = ""
        if self.flags & SEQ_ALL:
            self.sequence += 1
            tail = f",{self.sequence}"
        if self.flags & TIMESTAMP:
            tail += f",{int(now * 1000)}"
        return f"[{channel},{payload}{tail}]"

    def frames(self, event: Event, now: float) -> list[str]:
        """The frames of one event on this connection."""
        channel, payloads = self.numbers[event.topic], event.payloads
        if event.topic.channel == "book" and self.flags & BULK_UPDATES:
            payloads = [f"[{','.join(payloads)}]"]
        return [self.frame(channel, payload, now) for payload in payloads]

    def tick(self, now: float) -> list[Out]:
        """Heartbeats that are due, or the end of a connection that never asked for anything."""
        if not self.beats:
            self.due = self.idle_since + IDLE_SECONDS
            return [Abort()] if now >= self.due else []
        frames: list[Out] = []
        for channel, due in self.beats.items():
            if due <= now:
                frames.append(self.frame(channel, '"hb"', now))
                self.beats[channel] = max(due + HEARTBEAT_SECONDS, now)
        self.due = min(self.beats.values())
        return frames


class AccountSide(Protocol):
    """What a connection may say beside the public channels: log-ins and account inputs."""

    def handle(self, session: Session, message: Any, now: float) -> list[Out] | None:
        """The answer to an event or input (an array), None when it is nothing of the account's."""

    def leave(self, session: Session, now: float) -> None:
        """The connection is gone."""


class Streams:
    """Every connection of the exchange, and who listens to what.

    `platform` is the status of the info event: 1 operative, 0 maintenance. The others are faults:
    `silent` connections from the start, so many next subscriptions that get their data before
    (`early`) or instead of (`mute`) the acknowledgement, so many wrong checksums.
    """

    def __init__(
        self, source: Source, rules: Rules, seed: int, account: AccountSide | None = None
    ) -> None:
        self.source = source
        self._account = account
        self.platform = 1
        self.silent = False
        self.early = 0
        self.mute = 0
        self.wrong_checksums = 0
        self.sessions: dict[Session, None] = {}
        self._rules = rules
        self._random = random.Random(seed)
        self._server = str(UUID(int=self._random.getrandbits(128), version=4))
        self._listeners: dict[Topic, dict[Session, None]] = {}

    def connect(self, now: float, address: str = "") -> tuple[Session, list[Out]]:
        """A handshake was accepted: the session and its first words."""
        session = Session(now, self._random.randrange(100, 900_000), address, silent=self.silent)
        self.sessions[session] = None
        status = {"status": self.platform}
        return session, [event_text("info", version=2, serverId=self._server, platform=status)]

    def disconnect(self, session: Session, now: float = 0.0) -> None:
        self.sessions.pop(session, None)
        if self._account:
            self._account.leave(session, now)
        for topic in session.channels.values():
            self._leave(session, topic)
        session.channels.clear()

    def open_channels(self) -> int:
        return sum(len(session.channels) for session in self.sessions)

    def receive(self, session: Session, text: str, now: float) -> list[Out]:
        """A client's message; what is neither JSON object nor account input gets no answer."""
        try:
            message = msgspec.json.decode(text)
        except msgspec.MsgspecError:
            return []
        answer = self._account.handle(session, message, now) if self._account else None
        if answer is not None:
            return answer
        if not isinstance(message, dict):
            return []
        event = message.get("event")
        handlers = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}
        if isinstance(event, str) and event in handlers:
            return handlers[event](session, message, now)
        if event == "ping":
            cid = {"cid": message["cid"]} if "cid" in message else {}
            return [event_text("pong", ts=int(now * 1000), **cid)]
        if event == "conf":
            return self._configure(session, message)
        return [self._error(10000, f"event: invalid ({event})", {})]

    def advance(self, now: float) -> list[tuple[Session, list[Out]]]:
        """What every connection is to be sent by now."""
        out: dict[Session, list[Out]] = {}
        books: dict[Topic, None] = {}
        for event in self.source.advance(now):
            if event.topic.channel == "book":
                books[event.topic] = None
            for session in self._listeners.get(event.topic, ()):
                out.setdefault(session, []).extend(session.frames(event, now))
        for topic in books:
            self._check_sums(topic, now, out)
        for session in self.sessions:
            if session.due <= now:
                out.setdefault(session, []).extend(session.tick(now))
        return [(session, outs) for session, outs in out.items() if outs]

    def _configure(self, session: Session, message: dict[str, Any]) -> list[Out]:
        flags = message.get("flags", 0)
        if not isinstance(flags, int) or isinstance(flags, bool) or flags < 0:
            return [self._error(10050, "flags: invalid", {})]
        session.flags = flags
        return [event_text("conf", status="OK", flags=flags)]

    def _subscribe(self, session: Session, message: dict[str, Any], now: float) -> list[Out]:
        echo = {key: value for key, value in message.items() if key != "event"}
        try:
            topic = read_topic(message)
        except Refused as refused:
            return [self._error(refused.args[1], refused.args[0], echo)]
        pair = pair_field(topic)
        if topic in session.numbers:
            return [
                self._error(10301, "subscribe: dup", echo, chanId=session.numbers[topic], **pair)
            ]
        try:
            self.source.open(topic, now)
        except Refused as refused:
            silent = topic.channel == "status"
            return [] if silent else [self._error(10300, refused.args[0], echo, **pair)]
        if not self._rules.subscribe(len(session.channels)):
            self._close(topic)
            return [self._error(10305, "subscribe: limit", echo, **pair)]
        return self._accept(session, topic, message, now)

    def _accept(
        self, session: Session, topic: Topic, message: dict[str, Any], now: float
    ) -> list[Out]:
        channel = session.add(topic, now)
        self._listeners.setdefault(topic, {})[session] = None
        ack = event_text(
            "subscribed", channel=topic.channel, chanId=channel, **ack_fields(topic),
            **({"subId": message["subId"]} if "subId" in message else {}),
        )  # fmt: skip
        data: list[Out] = [
            session.frame(channel, payload, now) for payload in self.source.snapshot(topic)
        ]
        if self.mute:
            self.mute -= 1
            return data
        if self.early:
            self.early -= 1
            return [*data, ack]
        return [ack, *data]

    def _unsubscribe(self, session: Session, message: dict[str, Any], now: float) -> list[Out]:
        channel = message.get("chanId")
        if not isinstance(channel, int) or channel not in session.channels:
            return [self._error(10400, "unsubscribe: invalid", {"chanId": channel})]
        self._leave(session, session.drop(channel, now))
        return [event_text("unsubscribed", status="OK", chanId=channel)]

    def _leave(self, session: Session, topic: Topic) -> None:
        self._listeners.get(topic, {}).pop(session, None)
        self._close(topic)

    def _close(self, topic: Topic) -> None:
        if not self._listeners.get(topic):
            self._listeners.pop(topic, None)
            self.source.close(topic)

    def _check_sums(self, topic: Topic, now: float, out: dict[Session, list[Out]]) -> None:
        asked = [s for s in self._listeners.get(topic, ()) if s.flags & OB_CHECKSUM]
        value = self.source.checksum(topic) if asked else None
        if value is None:
            return
        if self.wrong_checksums:
            self.wrong_checksums -= 1
            value ^= 1
        for session in asked:
            payload = f'"cs",{value}'
            out[session].append(session.frame(session.numbers[topic], payload, now))

    def _error(self, code: int, text: str, echo: dict[str, Any], **more: Any) -> str:
        self._rules.counters.error(code)
        fields = {**echo, "event": "error", "msg": text, "code": code, **more}
        return msgspec.json.encode(fields).decode()


def each(sessions: Iterable[Session], *outs: Out) -> list[tuple[Session, list[Out]]]:
    """The same for several connections."""
    return [(session, list(outs)) for session in sessions]
