"""One socket to the exchange: opens once, serves until it is lost, closes in order.

Reconnecting is not its business (see `market.feed.fleet`): every attempt must be paid for first.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from market.bitfinex import events
from market.bitfinex.events import Channel, Event
from market.bitfinex.stream import StreamProtocol
from market.feed.plan import CHANNELS
from market.feed.ports import Outside

log = structlog.get_logger(__name__)

LARGEST_FRAME = 1024 * 1024  # bytes; the largest seen is a snapshot of some 20 kB
CLOSE_SECONDS = 1.0
GAPS = 3  # within a minute: subscribing anew does not help, reconnect
TOO_MANY = 429


class ConnectionFailed(Exception):
    """The attempt failed, or the connection was lost; `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConnectionLimited(ConnectionFailed):
    """The exchange counts too many connections from our address."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`hear` gets everything the exchange tells, `lose` the channels that fell silent."""

    hear: Callable[[Event], None]
    lose: Callable[[Sequence[Channel]], None]


class _connect(connect):
    def process_redirect(self, exc: Exception) -> Exception:
        """Followed nowhere: it would be a second attempt that nobody paid for."""
        return exc


async def _dial(url: str) -> ClientConnection:
    return await _connect(
        url,
        open_timeout=None,
        close_timeout=CLOSE_SECONDS,
        ping_interval=None,  # the exchange's heartbeats tell more than pongs would
        max_size=LARGEST_FRAME,
        compression=None,
        proxy=None,
        user_agent_header=None,
    )


class Connection:
    """Carries the channels in `wanted`, at most `room` of them."""

    def __init__(self, socket: ClientConnection, outside: Outside, listener: Listener) -> None:
        self.room = CHANNELS
        self._socket = socket
        self._listener = listener
        self._timing = timing = outside.timing
        self._clock = clock = outside.clock
        self._counters = outside.counters
        self._protocol = StreamProtocol(clock.monotonic(), timing.silence)
        self._wanted: Sequence[Channel] = ()
        self._refused: set[Channel] = set()
        self._outbox: list[str] = []
        self._gaps: list[float] = []
        self._next_check = clock.monotonic()
        self._unsettled = True

    @classmethod
    async def open(cls, outside: Outside, listener: Listener) -> "Connection":
        """Connect once and hear the exchange's first word. Raises ConnectionFailed."""
        outside.counters.connects += 1
        try:
            async with asyncio.timeout(outside.timing.connect):
                connection = cls(await _dial(outside.url), outside, listener)
                await connection._welcome()
                return connection
        except TimeoutError:
            raise ConnectionFailed("no answer in time") from None
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            kind = ConnectionLimited if status == TOO_MANY else ConnectionFailed
            raise kind(f"refused with HTTP {status}") from None
        except (OSError, WebSocketException) as error:
            raise ConnectionFailed(f"{type(error).__name__}: {error}") from None

    def want(self, channels: Sequence[Channel]) -> None:
        """Carry these from now on. What is live and still wanted stays untouched."""
        self._wanted = channels
        self._unsettled = True

    def renew(self) -> None:
        """Subscribe to every live channel anew."""
        self._renew(sorted(self._protocol.live, key=str))

    async def serve(self) -> NoReturn:
        """Until the connection is lost: then ConnectionFailed says why. Close it afterwards."""
        try:
            while True:
                await self._settle()
                frame = await self._next_frame()
                if frame is not None:
                    self._take(frame)
                self._check_life()
        except (OSError, WebSocketException) as error:
            raise ConnectionFailed(f"{type(error).__name__}: {error}") from None

    async def close(self) -> None:
        """In order, if the exchange answers within a second."""
        try:
            with suppress(OSError, WebSocketException):
                await self._socket.close()
        finally:
            self._socket.transport.abort()

    async def _welcome(self) -> None:
        """The first frame must be the welcome of the version we speak."""
        try:
            frame = await self._socket.recv(decode=False)
            for event in self._protocol.receive(frame, self._clock.monotonic()):
                self._react(event)
                if not isinstance(event, events.Welcomed):
                    raise ConnectionFailed(f"the first word was {type(event).__name__}")
            await self._socket.send(self._protocol.configure())
        except BaseException:
            await self.close()
            raise

    async def _next_frame(self) -> bytes | None:
        try:
            async with asyncio.timeout(self._timing.check):
                return await self._socket.recv(decode=False)
        except TimeoutError:
            return None

    def _take(self, frame: bytes) -> None:
        self._counters.frames += 1
        for event in self._protocol.receive(frame, self._clock.monotonic()):
            self._react(event)

    def _react(self, event: Event) -> None:
        self._listener.hear(event)
        match event:
            case events.Dropped():
                self._counters.frames_dropped += event.faulty
            case events.SequenceGap():
                self._count_gap(event)
            case events.Distrusted(channel):
                self._distrust(channel)
            case events.Subscribed() | events.Unsubscribed():
                self._unsettled = True
            case events.Refused(channel) | events.Full(channel):
                self._note_refusal(event, channel)
            case _:
                self._react_to_the_exchange(event)

    def _react_to_the_exchange(self, event: Event) -> None:
        match event:
            case events.WrongVersion(version):
                log.critical("the exchange speaks another version", version=version)
                raise ConnectionFailed("another protocol version")
            case events.Restarting():
                raise ConnectionFailed("the exchange restarts")
            case events.MaintenanceEnded():
                self.renew()

    def _note_refusal(self, event: Event, channel: Channel) -> None:
        self._counters.channels_refused += 1
        log.warning("channel refused", refusal=repr(event))
        if isinstance(event, events.Refused):
            self._refused.add(channel)
        elif not self._protocol.known:
            raise ConnectionFailed("it takes no channel")
        else:
            self.room = len(self._protocol.known)

    def _count_gap(self, gap: events.SequenceGap) -> None:
        now = self._clock.monotonic()
        self._counters.frames_lost += gap.got - gap.expected
        self._gaps = [at for at in self._gaps if at > now - 60] + [now]
        log.warning("frames lost", count=gap.got - gap.expected)
        if len(self._gaps) >= GAPS:
            raise ConnectionFailed("frames keep getting lost")
        self.renew()

    def _distrust(self, channel: Channel | None) -> None:
        if channel is None:
            raise ConnectionFailed("too many unreadable frames")
        self._renew([channel])

    def _renew(self, channels: Sequence[Channel]) -> None:
        now = self._clock.monotonic()
        texts = [self._protocol.unsubscribe(channel, now) for channel in channels]
        self._outbox += filter(None, texts)
        self._counters.resubscribed += len(channels)
        self._unsettled = True

    def _check_life(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + self._timing.check
        if self._protocol.is_silent(now):
            raise ConnectionFailed("silent")
        silent = self._protocol.silent_channels(now)
        if silent:
            self._counters.channels_silent += len(silent)
            self._listener.lose(silent)
        for channel in silent:  # leave and come back; ask again where no answer came
            text = self._protocol.unsubscribe(channel, now)
            self._outbox.append(text or self._protocol.subscribe(channel, now))
            self._unsettled = True

    async def _settle(self) -> None:
        """Send what brings the channels we have to the channels we want."""
        if not self._unsettled:
            return
        self._unsettled = False
        now, wanted = self._clock.monotonic(), set(self._wanted)
        known = self._protocol.known | self._refused
        leaving = (self._protocol.unsubscribe(ch, now) for ch in self._protocol.live - wanted)
        self._outbox += filter(None, leaving)
        self._outbox += (
            self._protocol.subscribe(ch, now) for ch in self._wanted if ch not in known
        )
        async with asyncio.timeout(self._timing.silence):
            while self._outbox:
                await self._socket.send(self._outbox.pop(0))
