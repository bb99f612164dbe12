"""How many requests may leave, and when: the exchange's limits as values and one decision.

The exchange counts requests per address and endpoint and blocks the address for a minute once a
count is exceeded. Nothing says whether it counts fixed or sliding minutes, so we keep to both: a
log of the last send times (sliding log) in which no window holds more than the limit. Our window is
longer than the exchange's by the time a request may leave late and by the time it may spend on the
way; a request sent at once and arriving late can then not meet one that was sent late and arrived
at once.

The log also knows what is reserved: a decision may lie ahead, and the caller sleeps until then.
Times are µs since epoch, spans in seconds unless a name says otherwise.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Lane = Literal["read", "place", "look_up", "cancel", "burn"]
"""`look_up` settles an order whose reply was lost, `burn` uses up the nonces of a leaked key. These
and `cancel` may use what is kept for them, so that they leave at once when reading and placing have
used up the rest."""

URGENT: frozenset[Lane] = frozenset({"look_up", "cancel", "burn"})

WINDOW = 60.0
BLOCK = 60.0
SLACK = 1.0
"""Seconds a request may leave after its slot; the same again is granted to its way."""

LONGEST_WAIT = 90.0
"""Seconds a reservation may lie ahead. What lies further ahead comes from a clock that stepped."""

OTHER = "other"
RATES: Mapping[str, int] = {
    "platform/status": 15,
    "conf": 15,
    "tickers": 30,
    "ticker": 30,
    "tickers/hist": 30,
    "trades": 10,
    "candles": 20,
    "book": 90,
    "stats1": 15,
    "status/deriv": 60,
    "liquidations": 3,
    "auth/r/alerts": 45,
    "auth/w/deposit/address": 10,
    "auth/w/deposit/invoice": 10,
    "auth/w/withdraw": 10,
    "auth/w/transfer": 30,
    OTHER: 90,
}
"""Requests a window by endpoint. Where the exchange's pages and its official programs differ, the
lower number: trades 10 (documented 15), candles 20 (30), book 90 (240), status 15 (30). Account
endpoints that are not named have the documented 90. `auth/r/orders` stands for all its paths.
"""

CONNECTS = 20
"""WebSocket connections a window to the public host (Bitfinex docs, ws-public)."""

_URGENT_SCOPES = frozenset({"auth/r/orders", "auth/w/order/cancel", "auth/w/order/cancel/multi"})


class Sent(NamedTuple):
    """One request: when it left or will leave, and for whom (None: the installation itself)."""

    at_us: int
    user: int | None


class Asked(NamedTuple):
    """Someone was turned away; until then the others may not take more than their share."""

    until_us: int
    user: int | None


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` requests in any window of `window` seconds, `kept` of them for the urgent
    lanes. `slack` is how late a request may leave, and how much later than another it may arrive.
    """

    limit: int
    kept: int
    window: float = WINDOW
    slack: float = SLACK

    @property
    def guarded_us(self) -> int:
        """The window our own log keeps to."""
        return round((self.window + 2 * self.slack) * 1_000_000)

    def cap(self, lane: Lane) -> int:
        return self.limit if lane in URGENT else self.limit - self.kept

    def share(self, users: int) -> int:
        """What one of so many may hold of the window while another one waits."""
        return max(1, (self.limit - self.kept) // max(3, users))


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits in force: requests a window by endpoint, connections a window, and the seconds of
    a block.
    """

    rates: Mapping[str, int]
    connects: int = CONNECTS
    window: float = WINDOW
    block: float = BLOCK

    def of(self, scope: str) -> Rate:
        """The rate of an endpoint, or of `other`."""
        limit = self.rates.get(scope, self.rates[OTHER])
        part = 4 if scope in _URGENT_SCOPES else 40
        kept = min(limit - 1, max(1, limit // part))
        return Rate(limit, kept, self.window, max(SLACK * self.window / WINDOW, 0.25))


def read_rates(given: Mapping[str, Any]) -> Rates:
    """The limits, with those of `BFX_RATES` in place of the documented ones.

    Every key may be left out: `window` (seconds), `block` (seconds, else the window), `rates`
    (endpoint → requests a window), `ws` (connections a window). `channels` and `ws_auth` are for
    the sandbox. Raises ValueError, naming the key.
    """
    unknown = set(given) - {"window", "block", "rates", "ws", "ws_auth", "channels"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    window = _positive(given.get("window", WINDOW), "window", float)
    rates = given.get("rates", {})
    if not isinstance(rates, dict):
        raise ValueError(f"rates: {rates!r} is not an object")
    return Rates(
        rates={**RATES, **{name: _positive(value, name, int) for name, value in rates.items()}},
        connects=_positive(given.get("ws", CONNECTS), "ws", int),
        window=window,
        block=_positive(given.get("block", window), "block", float),
    )


@dataclass(frozen=True, slots=True)
class Window:
    """What the database remembers of one endpoint, oldest first."""

    ring: Sequence[Sent] = ()
    asked: Sequence[Asked] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """One caller: which lane, for whom, and how many µs it is ready to wait."""

    lane: Lane = "read"
    user: int | None = None
    wait_us: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """`at_us` is the slot taken, or None when nothing was; `free_us` is when a slot comes free.

    `window` must be stored either way: a repaired log that is not stored stays broken.
    """

    at_us: int | None
    free_us: int
    window: Window


def decide(window: Window, ask: Ask, rate: Rate, now_us: int, not_before_us: int = 0) -> Decision:
    """Take the earliest slot that keeps every window within the rate, if it lies near enough.

    While someone else was turned away and holds less than his share, a user gets no more than his
    own share. The installation itself (user None) is never held back by shares.
    """
    ring = _repaired(window.ring, now_us, rate.guarded_us)
    asked = [one for one in window.asked if now_us < one.until_us <= _latest_mark(now_us, rate)]
    slot = _slot(ring, asked, ask, rate, max(now_us, not_before_us))
    if slot - now_us <= ask.wait_us:
        insort(ring, Sent(slot, ask.user), key=_at)
        return Decision(slot, slot, Window(ring, asked))
    asked = [one for one in asked if one.user != ask.user]
    asked.append(Asked(min(slot + rate.guarded_us // 3, _latest_mark(now_us, rate)), ask.user))
    return Decision(None, slot, Window(ring, asked))


def shifted(window: Window, sent_by_us: int, step_us: int) -> Window:
    """The log after the clock was set forward: what was sent by then, in the time of the new clock.
    Without this, old requests would look older than they are, and a second budget would leave.
    """
    ring = [Sent(o.at_us + step_us, o.user) if o.at_us <= sent_by_us else o for o in window.ring]
    return Window(ring, window.asked)


def used(window: Window, rate: Rate, now_us: int) -> int:
    """How many requests of the window that ends now, or lies ahead, are taken."""
    return len(_repaired(window.ring, now_us, rate.guarded_us))


def block_until(stored_us: int, now_us: int, block: float) -> int:
    """Until when the address is blocked. No block is longer than the exchange's own: a stored end
    that lies further ahead comes from a clock that stepped, and may have been set just now.
    """
    return min(stored_us, now_us + round(block * 1_000_000))


def _slot(
    ring: Sequence[Sent], asked: Sequence[Asked], ask: Ask, rate: Rate, earliest_us: int
) -> int:
    times = [one.at_us for one in ring]
    slot = _fit(times, earliest_us, rate.cap(ask.lane), rate.guarded_us)
    share = rate.share(len({one.user for one in ring} | {one.user for one in asked} | {ask.user}))
    if ask.user is None or not _others_wait(ring, asked, ask.user, share):
        return slot
    own = [one.at_us for one in ring if one.user == ask.user]
    while (later := _fit(own, slot, share, rate.guarded_us)) > slot:
        slot = _fit(times, later, rate.cap(ask.lane), rate.guarded_us)
    return slot


def _others_wait(ring: Sequence[Sent], asked: Sequence[Asked], user: int, share: int) -> bool:
    """Whether someone was turned away who holds less than his share."""
    others = {one.user for one in asked} - {user}
    return any(sum(one.user == other for one in ring) < share for other in others)


def _fit(times: Sequence[int], earliest_us: int, cap: int, span_us: int) -> int:
    """The first moment from `earliest_us` on at which one more keeps every span at `cap` or less.

    With the moment put in its place, any `cap + 1` neighbours around it must lie a span apart. If
    they do not, the first of them must have left the span first.
    """
    slot = earliest_us
    while (crowd := _crowd(times, slot, cap, span_us)) is not None:
        slot = times[crowd] + span_us
    return slot


def _crowd(times: Sequence[int], slot: int, cap: int, span_us: int) -> int | None:
    """Index of the first of `cap` moments that, with the slot, lie within less than a span."""
    place = bisect_left(times, slot)
    for first in range(max(0, place - cap), min(place, len(times) - cap) + 1):
        last = first + cap - 1
        begin = min(times[first], slot)
        end = max(times[last], slot)
        if end - begin < span_us:
            return first
    return None


def _repaired(ring: Sequence[Sent], now_us: int, span_us: int) -> list[Sent]:
    """The log without what is over. Entries too far ahead come from a clock that was set back:
    they count as sent now, which costs one window of waiting at most.
    """
    latest = now_us + round(LONGEST_WAIT * 1_000_000)
    recent = (
        one if one.at_us <= latest else Sent(now_us, one.user)
        for one in ring
        if one.at_us > now_us - span_us
    )
    return sorted(recent, key=_at)


def _latest_mark(now_us: int, rate: Rate) -> int:
    return now_us + rate.guarded_us + rate.guarded_us // 3


def _at(one: Sent) -> int:
    return one.at_us


def _positive(value: Any, name: str, kind: type[Any]) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, kind)) or value <= 0:
        raise ValueError(f"{name}: {value!r} is not above 0")
    if not math.isfinite(value):
        raise ValueError(f"{name}: {value!r} is not a number with an end")
    return value
