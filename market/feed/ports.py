"""What the feed needs from outside, its times, and what it counts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from market.bitfinex.messages import AnyTicker
from market.bitfinex.pacing import CONNECT_WINDOW, FIRST_CONNECT_STEP, Pace, connect_timeout
from market.bitfinex.stream import SILENCE


class Clock:
    """`monotonic` for life, in seconds; `wall_ms` for what people read, in ms since epoch."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `silence` is when a channel or socket counts as lost, `check` how often that is
    looked at; `healthy` is how long a connection must live to earn fresh reconnect delays.
    """

    silence: float = SILENCE
    check: float = 1.0
    healthy: float = 60.0
    connect: float = connect_timeout(CONNECT_WINDOW)
    step: float = FIRST_CONNECT_STEP
    pace: Pace = field(default_factory=Pace)
    flush: float = 0.1
    beat: float = 5.0
    full: float = 60.0
    save: float = 30.0
    refresh: float = 15.0
    lists: float = 3600.0
    lease: float = 15.0
    wanted: float = 45.0


@dataclass(slots=True)
class Counters:
    """What happened since the start of the process; only ever rises."""

    connects: int = 0
    connects_failed: int = 0
    connects_limited: int = 0
    connections_lost: int = 0
    frames: int = 0
    frames_dropped: int = 0
    frames_lost: int = 0
    channels_silent: int = 0
    channels_refused: int = 0
    resubscribed: int = 0
    batches: int = 0
    layer_errors: int = 0
    rest_errors: int = 0
    ledger_errors: int = 0


class LedgerAway(Exception):
    """The database is out of reach: nothing may be paid, held or saved."""


class RestFailed(Exception):
    """A REST call gave nothing; `reason` is written for people."""

    def __init__(self, reason: str, *, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Ledger(Protocol):
    """What the processes of one installation share. Raises `LedgerAway`."""

    async def pay_connect(self, *, first: bool) -> float:
        """0 when one connection attempt is paid, else seconds to wait. A first connect leaves a
        part of the budget for reconnects.
        """

    async def use_up_connects(self) -> None:
        """The exchange limits us: nobody behind this address may connect for one window."""

    async def hold(self, range_: int, ttl: float) -> bool: ...
    async def release(self, range_: int) -> None: ...
    async def load_quotes(self, range_: int) -> dict[str, str]: ...
    async def save_quotes(self, range_: int, rows: Mapping[str, str]) -> None: ...


class Rest(Protocol):
    """Public calls. Raises `RestFailed`."""

    async def operative(self) -> bool: ...
    async def pairs(self) -> list[str]: ...
    async def tickers(self) -> Mapping[str, AnyTicker]: ...


class Layer(Protocol):
    """The part of a channel layer that the feed uses."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None: ...
    async def group_add(self, group: str, channel: str) -> None: ...
    async def new_channel(self) -> str: ...
    async def receive(self, channel: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Outside:
    """All of it together. `url` is the public socket's; symbols are split into `ranges`."""

    url: str
    ledger: Ledger
    rest: Rest
    layer: Layer
    ranges: int = 1
    timing: Timing = field(default_factory=Timing)
    clock: Clock = field(default_factory=Clock)
    counters: Counters = field(default_factory=Counters)


Notify = Callable[[], None]
