"""How fast we may knock: delays before reconnecting and the budget of connection attempts.

Numbers only. The caller sleeps, and keeps the ring of attempts where every process behind the same
address sees it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

CONNECT_WINDOW = 60.0
"""Seconds of that window, and how long the address is limited once it was exceeded."""

ARRIVAL_SLACK = 1 / 6
"""Part of the window added to our own: an attempt paid now may arrive that much later, and the
exchange counts arrivals. An attempt must be given up before (see `connect_timeout`)."""

FIRST_CONNECT_STEP = 0.25
"""Seconds between first connects."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Delays in seconds: `floor` plus a random part whose width doubles from `first` to `cap`."""

    floor: float = 1.0
    first: float = 2.0
    cap: float = 60.0


@dataclass(frozen=True, slots=True)
class ConnectDecision:
    """`wait_us` is 0 when the attempt is paid. `ring` is what must be stored, paid or not."""

    wait_us: int
    ring: list[int]


def reconnect_delays(pace: Pace, rng: Random) -> Iterator[float]:
    """Endless delays with full jitter, never below the floor. Take a fresh generator after a
    connection that lived; a clean close earns no quicker return than an unclean one.
    """
    width = pace.first
    while True:
        yield pace.floor + rng.uniform(0, width)
        width = min(width * 2, pace.cap)


def guarded_window_us(window: float = CONNECT_WINDOW) -> int:
    """The window that our own ledger must keep to, in µs, for an exchange window in seconds."""
    return round(window * (1 + ARRIVAL_SLACK) * 1_000_000)


def connect_timeout(window: float = CONNECT_WINDOW) -> float:
    """Seconds after which an attempt must have been given up, so that it never arrives late."""
    return window * ARRIVAL_SLACK


def decide_connect(ring: Sequence[int], now_us: int, limit: int, window_us: int) -> ConnectDecision:
    """May one attempt leave now, when at most `limit` may leave in any `window_us`?

    `ring` holds the paid attempts in µs, oldest first. Attempts that seem to lie ahead, because a
    clock was set back, count as made now: safe, and over after one window.
    """
    recent = [min(at, now_us) for at in ring if at > now_us - window_us]
    if len(recent) < limit:
        return ConnectDecision(0, [*recent, now_us])
    if limit <= 0:
        return ConnectDecision(window_us, recent)
    return ConnectDecision(recent[-limit] + window_us - now_us, recent)
