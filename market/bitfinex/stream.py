"""One public WebSocket connection to the exchange, without the socket.

Give `StreamProtocol` every frame with the time it came; it gives back what the frame means. It
gives the texts to send as well. Nothing here raises on anything the exchange may send.
Facts are from the Bitfinex docs (ws-general, ws-public) and from recordings of 2018, 2021, 2026.
"""

import json
from typing import Any

import msgspec

from market.bitfinex import events, messages
from market.bitfinex.events import Channel, Event
from market.bitfinex.messages import UNREADABLE, ServerEvent
from market.bitfinex.subscriptions import FaultCount, State, Subscription, Subscriptions

TIMESTAMP = 32768
SEQ_ALL = 65536
VERSION = 2
SILENCE = 35.0
"""Seconds without any frame after which a channel counts as lost: heartbeats come every 15 s."""

RESTART, MAINTENANCE_BEGAN, MAINTENANCE_ENDED = 20051, 20060, 20061
CONF_FAILED, DUPLICATE, FULL = 10050, 10301, 10305
NOT_SUBSCRIBED = {10400, 10401}

_INFO: dict[int | None, Event] = {
    RESTART: events.Restarting(),
    MAINTENANCE_BEGAN: events.MaintenanceBegan(),
    MAINTENANCE_ENDED: events.MaintenanceEnded(),
}


class StreamProtocol:
    """`now` is in seconds of a clock that never jumps; `silence` is the time until a channel, or
    the whole connection, counts as lost.
    """

    def __init__(self, now: float, silence: float = SILENCE) -> None:
        self._subscriptions = Subscriptions()
        self._ticker_of = self._subscriptions.ticker
        self._heard = now
        self._silence = silence
        self._trailing = 0
        self._sequence = 0
        self._faults = FaultCount()

    # --- what we say ---
    def configure(self) -> str:
        """The first text to send: number every frame, so that a lost one is noticed."""
        return _text(event="conf", flags=SEQ_ALL)

    def subscribe(self, channel: Channel, now: float) -> str:
        self._subscriptions.ask(channel, now)
        return _text(event="subscribe", **channel.request())

    def unsubscribe(self, channel: Channel, now: float) -> str | None:
        """The text that ends a live channel; None when it is not live (an unanswered request can
        be ended only after its answer).
        """
        known = self._subscriptions.get(channel)
        if known is None or known.state is State.ASKED:
            return None
        known.state = State.LEAVING
        known.heard = now
        return _text(event="unsubscribe", chanId=known.chan_id)

    # --- what we know ---
    @property
    def live(self) -> set[Channel]:
        return self._subscriptions.in_state(State.LIVE)

    @property
    def known(self) -> set[Channel]:
        """Live channels, those asked for, and those being left."""
        return self._subscriptions.in_state(*State)

    def is_silent(self, now: float) -> bool:
        """Whether nothing at all came for too long: the connection is half open."""
        return now - self._heard >= self._silence

    def silent_channels(self, now: float) -> list[Channel]:
        """Channels that gave no sign of life, or no answer, for too long."""
        return self._subscriptions.not_heard_since(now - self._silence)

    # --- what the exchange says ---
    def receive(self, frame: str | bytes, now: float) -> list[Event]:
        self._heard = now
        try:
            data = frame.encode() if isinstance(frame, str) else frame
            ticker = self._ticker_of(data[: data.find(b"[", 1)])
            if ticker is not None and (seen := self._receive_ticker(ticker, data, now)):
                return [seen]
            if data.startswith(b"{"):
                return [self._receive_event(messages.decode_event(data), now)]
            return self._receive_array(messages.decode_parts(data), now)
        except UNREADABLE as error:
            return self._drop(f"unreadable: {error}", None, now)

    def _receive_ticker(self, known: Subscription, data: bytes, now: float) -> Event | None:
        """The short way for most frames: `[CHANNEL,[…],SEQUENCE]` of a ticker, in order."""
        try:
            _, ticker, number = messages.decode_ticker_frame(data)
        except UNREADABLE:
            return None  # the long way knows what to say of it
        if number != self._sequence + 1 or self._trailing != 1:
            return None
        self._sequence = number
        known.heard = now
        return events.TickerSeen(known.channel, ticker)

    def _receive_event(self, event: ServerEvent, now: float) -> Event:
        match event.event:
            case "info":
                return _info(event)
            case "conf":
                return self._configured(event)
            case "subscribed":
                return self._subscribed(event, now)
            case "unsubscribed":
                return self._unsubscribed(event)
            case "error":
                return self._error(event, now)
        return events.Notice(event.code, event.msg or event.event)

    def _configured(self, event: ServerEvent) -> Event:
        if event.status != "OK":
            return events.NotConfigured(event.msg or str(event.status))
        if event.flags & SEQ_ALL:  # each array then ends in …, sequence[, time in ms]]
            self._trailing = 2 if event.flags & TIMESTAMP else 1
        return events.Configured(event.flags)

    def _subscribed(self, event: ServerEvent, now: float) -> Event:
        asked = self._subscriptions.asked_for(event)
        if asked is None or event.chanId is None:
            return events.Dropped(f"nobody asked for {event.channel}", faulty=False)
        self._subscriptions.accept(asked, event.chanId, now)
        return events.Subscribed(asked.channel)

    def _unsubscribed(self, event: ServerEvent) -> Event:
        left = self._subscriptions.with_id(event.chanId)
        if left is None:
            return events.Dropped("left a channel that is not ours", faulty=False)
        self._subscriptions.forget(left)
        return events.Unsubscribed(left.channel)

    def _error(self, event: ServerEvent, now: float) -> Event:
        text = event.msg or ""
        if event.code in NOT_SUBSCRIBED:
            return self._unsubscribed(event)
        if event.code == CONF_FAILED:
            return events.NotConfigured(text)
        asked = self._subscriptions.asked_for(event)
        if asked is None:
            return events.Notice(event.code, text)
        if event.code == DUPLICATE and event.chanId is not None:
            return self._subscribed(event, now)
        self._subscriptions.forget(asked)
        if event.code == FULL:
            return events.Full(asked.channel)
        return events.Refused(asked.channel, event.code, text)

    def _receive_array(self, parts: list[msgspec.Raw], now: float) -> list[Event]:
        if len(parts) < 2 + self._trailing:
            return self._drop("too short", None, now)
        known = self._subscriptions.with_id(messages.decode_integer(parts[0]))
        found = self._check_sequence(parts, known, now)
        if found and isinstance(found[0], events.Dropped):
            return found
        if known is None:
            return [*found, events.Dropped("of no channel, or not yet", faulty=False)]
        known.heard = now
        try:
            return [*found, *self._read(known, parts[1:], now)]
        except UNREADABLE as error:
            return [*found, *self._drop(f"{known.channel.name}: {error}", known, now)]

    def _check_sequence(
        self, parts: list[msgspec.Raw], known: Subscription | None, now: float
    ) -> list[Event]:
        """Empty when this frame follows the one before it. Takes the trailing numbers off."""
        if not self._trailing:
            return []
        number, expected = messages.decode_integer(parts[-self._trailing]), self._sequence + 1
        del parts[-self._trailing :]
        if number < expected:
            return self._drop("out of order", known, now)
        self._sequence = number
        return [events.SequenceGap(expected, number)] if number > expected else []

    def _read(self, known: Subscription, body: list[msgspec.Raw], now: float) -> list[Event]:
        first, payload = body[0], body[-1]
        tag = bytes(first).strip(b'"')
        if tag == b"hb":
            return [events.Heartbeat(known.channel)]
        if known.channel.name != "trades":
            return [_data(known.channel, tag, first, payload)]
        if tag not in {b"te", b"tu", b"fte", b"ftu"}:
            return [_trades(known, first)]
        return self._trade(known, tag.endswith(b"tu"), messages.decode_trade(payload), now)

    def _trade(
        self, known: Subscription, update: bool, trade: messages.Trade, now: float
    ) -> list[Event]:
        """Trade numbers only rise; each trade comes as `te` at once and as `tu` a little later."""
        if trade.id > known.newest_trade:
            known.newest_trade = trade.id
            return [events.TradeSeen(known.channel, trade)]
        if update:
            return [events.TradeRepeated(known.channel, trade)]
        return self._drop("trade out of order", known, now)

    def _drop(self, reason: str, known: Subscription | None, now: float) -> list[Event]:
        channel, faults = (known.channel, known.faults) if known else (None, self._faults)
        found: list[Event] = [events.Dropped(reason[:200], channel)]
        if faults.too_many(now):
            found.append(events.Distrusted(channel))
        return found


def _text(**fields: Any) -> str:
    return json.dumps(fields, separators=(",", ":"))


def _info(event: ServerEvent) -> Event:
    if event.version is not None and event.version != VERSION:
        return events.WrongVersion(event.version)
    if event.version is not None:
        operative = event.platform is None or event.platform.status == 1
        return events.Welcomed(event.serverId or "", operative)
    return _INFO.get(event.code) or events.Notice(event.code, event.msg or "")


def _data(channel: Channel, tag: bytes, first: msgspec.Raw, payload: msgspec.Raw) -> Event:
    match channel.name:
        case "book" if tag == b"cs":
            return events.ChecksumSeen(channel, messages.decode_integer(payload))
        case "book":
            return _book(channel, first)
        case "candles":
            rows = messages.decode_rows(first, messages.decode_candle)
            return events.CandlesSeen(channel, rows, messages.is_snapshot(first))
        case "status":
            return events.StatusSeen(channel, messages.decode_derivative_status(first))
    if channel.funding:
        return events.TickerSeen(channel, messages.decode_funding_ticker(first))
    return events.TickerSeen(channel, messages.decode_ticker(first))


def _trades(known: Subscription, payload: msgspec.Raw) -> Event:
    trades = messages.decode_rows(payload, messages.decode_trade)
    known.newest_trade = max((trade.id for trade in trades), default=known.newest_trade)
    return events.TradesSeen(known.channel, trades)


def _book(channel: Channel, payload: msgspec.Raw) -> Event:
    snapshot = messages.is_snapshot(payload)
    levels: tuple[messages.AnyLevel, ...]
    match channel.precision == "R0", channel.funding:
        case False, False:
            levels = messages.decode_rows(payload, messages.decode_level)
        case True, False:
            levels = messages.decode_rows(payload, messages.decode_raw_level)
        case False, True:
            levels = messages.decode_rows(payload, messages.decode_funding_level)
        case _:
            levels = messages.decode_rows(payload, messages.decode_raw_funding_level)
    return events.BookSeen(channel, levels, snapshot)
