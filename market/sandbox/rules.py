"""The exchange's limits, their penalties, and the count of both. No clock: every call takes `now`.

Defaults are those of docs.bitfinex.com ("Requirements and limitations", and the page of each
endpoint): requests a minute per address and endpoint; a breach blocks the address for a minute.

`BFX_RATES` (environment, or `--rates`) is JSON that replaces them. Every key may be left out:

| key        | default | meaning |
|------------|---------|---------|
| `window`   | 60      | seconds a rate is counted over, for REST and for new WebSockets |
| `block`    | =window | seconds a breach blocks the address |
| `ws`       | 20      | new WebSockets per window and address |
| `ws_auth`  | 5       | log-ins of WebSockets per quarter of a window and address |
| `channels` | 25      | channels a WebSocket |
| `rates`    | {}      | requests per window by endpoint; an endpoint not named keeps its default |

Endpoint names: `platform/status conf tickers ticker trades candles book status/deriv`, and those of
`calls.CALLS` (`auth/r/orders`, …); those that are in no table have the rate of `other`.
Example: `{"window": 2, "rates": {"tickers": 3}, "ws": 5}`.

A rate is broken when more than its number of requests lie in *any* window that ends now. Every
fixed window is one of those, so a client that breaks the fixed count breaks this one too.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

DEFAULT_RATES = {
    "platform/status": 30,
    "conf": 90,
    "tickers": 30,
    "ticker": 90,
    "trades": 15,
    "candles": 30,
    "book": 240,
    "status/deriv": 90,
    "other": 90,
}
"""Requests a minute. `other` is the rate of every account call that is not named, and of everything
unknown together, so that a flood of 404s is noticed too."""


class _RatesText(msgspec.Struct, forbid_unknown_fields=True):
    window: float = 60
    block: float | None = None
    ws: int = 20
    ws_auth: int = 5
    channels: int = 25
    rates: dict[str, int] = {}


@dataclass(frozen=True)
class Rates:
    """The limits in force. `window` and `block` in seconds."""

    window: float = 60.0
    block: float = 60.0
    ws: int = 20
    channels: int = 25
    rates: dict[str, int] = field(default_factory=lambda: dict(DEFAULT_RATES))
    ws_auth: int = 5

    @classmethod
    def read(cls, text: str) -> "Rates":
        """Limits from the JSON text of `BFX_RATES` (empty: the defaults).

        Raises ValueError, naming BFX_RATES, for anything else.
        """
        if not text.strip():
            return cls()
        try:
            given = msgspec.json.decode(text, type=_RatesText)
        except msgspec.MsgspecError as error:
            raise ValueError(f"BFX_RATES: {error}") from error
        block = given.window if given.block is None else given.block
        rates = DEFAULT_RATES | given.rates
        numbers = (block, given.ws, given.ws_auth, given.channels, *rates.values())
        if given.window <= 0 or min(numbers) < 0:
            raise ValueError("BFX_RATES: a window is above 0, other numbers are not below")
        return cls(given.window, block, given.ws, given.channels, rates, given.ws_auth)


class Window:
    """The requests of one address to one endpoint, newest last."""

    def __init__(self, times: list[float] | None = None) -> None:
        self.times = deque(times or ())

    def add(self, now: float, length: float) -> int:
        """Note a request; how many lie in the `length` seconds that end now, this one included."""
        while self.times and self.times[0] <= now - length:
            self.times.popleft()
        self.times.append(now)
        return len(self.times)


@dataclass
class Counters:
    """What `GET /counters` of the control port shows."""

    violations: dict[str, int] = field(default_factory=dict)
    """By kind: `rest_rate rest_blocked ws_rate ws_auth_rate ws_blocked ws_channels`."""
    requests: dict[str, int] = field(default_factory=dict)
    most_requests: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    requests_while_blocked: int = 0
    connections_opened: int = 0
    connections_refused: int = 0
    most_connections: int = 0
    most_channels: int = 0
    frames_sent: int = 0

    def violate(self, kind: str) -> None:
        self.violations[kind] = self.violations.get(kind, 0) + 1

    def request(self, endpoint: str) -> None:
        self.requests[endpoint] = self.requests.get(endpoint, 0) + 1

    def error(self, code: int) -> None:
        self.errors[str(code)] = self.errors.get(str(code), 0) + 1

    def peak(self, endpoint: str, count: int) -> None:
        self.most_requests[endpoint] = max(self.most_requests.get(endpoint, 0), count)

    def report(self) -> dict[str, Any]:
        return {
            "violations": self.violations,
            "violations_total": sum(self.violations.values()),
            "requests": self.requests,
            "requests_while_blocked": self.requests_while_blocked,
            "most_requests_in_a_window": self.most_requests,
            "errors_sent": self.errors,
            "frames_sent": self.frames_sent,
            "connections": {
                "opened": self.connections_opened,
                "refused": self.connections_refused,
                "most_in_a_window": self.most_connections,
            },
            "channels": {"most_on_a_connection": self.most_channels},
        }


class Rules:
    """Judges requests and connections by the limits, and keeps the books.

    `request` and `connect` answer whether the exchange serves them. An address blocked for its
    REST requests is refused at the WebSocket door as well, since the block is on the address;
    the penalty for too many connections holds for connections alone.
    """

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.counters = Counters()
        self.changed = False
        self._windows: dict[tuple[str, str], Window] = {}
        self._blocked: dict[str, float] = {}
        self._limited: dict[str, float] = {}

    def request(self, address: str, endpoint: str, now: float) -> bool:
        """Count one REST request; False when it is answered by ERR_RATE_LIMIT."""
        counters = self.counters
        counters.request(endpoint)
        self.changed = True
        if now < self._blocked.get(address, 0):
            counters.requests_while_blocked += 1
            counters.violate("rest_blocked")
            return False
        count = self._window(address, endpoint).add(now, self.rates.window)
        counters.peak(endpoint, count)
        if count <= self.rates.rates.get(endpoint, self.rates.rates["other"]):
            return True
        counters.violate("rest_rate")
        self._blocked[address] = now + self.rates.block
        return False

    def connect(self, address: str, now: float) -> bool:
        """Count one WebSocket handshake; False when it is refused with HTTP 429."""
        if self._connect(address, now):
            self.counters.connections_opened += 1
            return True
        self.counters.connections_refused += 1
        return False

    def _connect(self, address: str, now: float) -> bool:
        counters = self.counters
        self.changed = True
        if now < max(self._limited.get(address, 0), self._blocked.get(address, 0)):
            counters.violate("ws_blocked")
            return False
        count = self._window(address, "ws").add(now, self.rates.window)
        counters.most_connections = max(counters.most_connections, count)
        if count <= self.rates.ws:
            return True
        counters.violate("ws_rate")
        self._limited[address] = now + self.rates.block
        return False

    def login(self, address: str, now: float) -> bool:
        """Count one log-in of a WebSocket; False when there were too many in a quarter window."""
        count = self._window(address, "ws_auth").add(now, self.rates.window / 4)
        self.changed = True
        if count <= self.rates.ws_auth:
            return True
        self.counters.violate("ws_auth_rate")
        return False

    def block(self, address: str, now: float) -> None:
        """Block an address as if it had broken a rate."""
        self._blocked[address] = now + self.rates.block
        self.changed = True

    def subscribe(self, open_channels: int) -> bool:
        """Whether a connection with so many channels may open one more."""
        counters = self.counters
        self.changed = True
        if open_channels >= self.rates.channels:
            counters.violate("ws_channels")
            return False
        counters.most_channels = max(counters.most_channels, open_channels + 1)
        return True

    def blocked_until(self, address: str) -> float:
        return self._blocked.get(address, 0)

    def _window(self, address: str, endpoint: str) -> Window:
        return self._windows.setdefault((address, endpoint), Window())

    def dump(self) -> bytes:
        """Everything a restart must not forgive, as JSON for `load`."""
        self.changed = False
        return msgspec.json.encode(
            {
                "windows": [[*key, list(w.times)] for key, w in self._windows.items()],
                "blocked": self._blocked,
                "limited": self._limited,
                "counters": self.counters,
            }
        )

    def load(self, text: bytes) -> None:
        """Take up what `dump` wrote. Raises ValueError (msgspec's) for anything else."""
        kept = msgspec.json.decode(text, type=_Kept)
        self._windows = {(a, e): Window(times) for a, e, times in kept.windows}
        self._blocked, self._limited = kept.blocked, kept.limited
        self.counters = kept.counters


class _Kept(msgspec.Struct):
    windows: list[tuple[str, str, list[float]]]
    blocked: dict[str, float]
    limited: dict[str, float]
    counters: Counters
