"""Faults on demand: `POST /faults` of the control port, a JSON object with `kind` and arguments.

`DELETE /faults` ends every lasting fault (and cuts the connections that were silent or stalled).
`connections` is how many connections are hit, oldest first; left out or "all", all of them.
`times` is how often a fault strikes, `endpoint` one of `rest.ENDPOINTS` or `calls.CALLS`.

| kind          | arguments (default)                     | effect |
|---------------|-----------------------------------------|--------|
| `silence`     | `connections`, `new` (false)            | socket open, pings answered, no frame any more; `new`: later connections too |
| `half_open`   | `connections`                           | neither reads nor writes, no pong, socket open |
| `reset`       | `connections`                           | TCP reset |
| `close`       | `code` (1001), `reason`, `connections`  | close frame |
| `refuse`      | `status` (503), `times` (1)             | WebSocket handshakes answered with a status |
| `malformed`   | `frames` (all of `MALFORMED`), `connections` | broken frames in between |
| `text`        | `text`, `connections`                   | this very text as a frame |
| `gap`         | `count` (1), `connections`              | sequence numbers left out |
| `checksum`    | `times` (1)                             | next book checksums are wrong |
| `early`       | `times` (1)                             | next subscriptions: data before the ack |
| `mute`        | `times` (1)                             | next subscriptions: data, never an ack |
| `info`        | `code` (20051), `connections`           | info event 20051, 20060 or 20061 |
| `maintenance` | `on` (true), `rest` (false)             | platform status 0, info 20060, at its end 20061; `rest`: other endpoints answer 20060 |
| `status`      | `status` (502)                          | REST: an HTML page with this status |
| `body`        | `body` or `size`, `status` (200)        | REST: this body, or so many bytes |
| `truncate`    |                                         | REST: half of the JSON, as if complete |
| `cut`         |                                         | REST: half of the body, then a TCP reset |
| `lost`        |                                         | REST: no reply at all, a TCP reset |
| `slow`        | `seconds` (2)                           | REST: the reply comes late |
| `hold`        | `seconds` (2)                           | REST: the call itself comes late, nonce and all |
| `error`       | `code` (10114), `text` ("nonce: small") | REST: refused with this error, not carried out |
| `rate_limit`  | `form` ("ERR_RATE_LIMIT", "11010", "message"), `status` (429), `block` (true) | REST: refused, and the address blocked |
| `latency`     | `up` (0), `down` (0)                    | REST: every call takes up to so many seconds each way |
| `lag`         | `seconds` (2; 0 ends it)                | new orders are missing from the lists for so long |
| `freeze`      | `on` (true), `symbols`                  | symbols hold still (seeded market) |

The REST faults also take `times` (1), `endpoint` (any; `auth/w/*` for all below), `share` (1: of the
calls, how many are hit) and `before` (false: the call was carried out; true: it was not).

`POST /price {"symbol","price"}` makes a trade at that price.
"""  # noqa: E501

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from market.sandbox import rest
from market.sandbox.order_book import OrderBook
from market.sandbox.rest_faults import KINDS as REST_KINDS
from market.sandbox.rest_faults import RestFaults, Spoiled, Stopped
from market.sandbox.stream import (
    Abort,
    Close,
    Out,
    Session,
    Stall,
    Streams,
    each,
    info_text,
)
from market.sandbox.topics import Refused

MALFORMED = {
    "json": "[1,[0.1,",
    "word": "nonsense",
    "number": "17",
    "empty": "[]",
    "types": '[CHANNEL,["a",{},null,true]]',
    "short": "[CHANNEL,[1]]",
    "unknown": "[999999999,[1,2,3,4,5,6,7,8,9,10]]",
    "nested": "[[CHANNEL],[[[]]]]",
    "event": '{"event":"nobody-knows","chanId":CHANNEL}',
    "order": '[CHANNEL,"hb",1]',
}
"""Broken frames by name; CHANNEL becomes one of the connection's channels."""

_INFO = {
    20051: "Stopping. Please try to reconnect",
    20060: "Refreshing data from the Trading Engine. Please pause any activity.",
    20061: "Done Refreshing data from the Trading Engine. Re-subscription advised.",
}

Outs = list[tuple[Session, list[Out]]]


class Faults:
    """The faults in force."""

    def __init__(self, streams: Streams, orders: OrderBook | None = None) -> None:
        self._streams = streams
        self._orders = orders
        self._rest = RestFaults()
        self._refuse: list[int] = []
        self._rest_maintenance = False

    def start(self, kind: str, arguments: dict[str, Any]) -> Outs:
        """Begin a fault; what connections are sent at once. Raises Refused for an unknown kind."""
        if kind in REST_KINDS or kind == "latency":
            self._rest.start(kind, arguments)
            return []
        if kind == "freeze":
            self._streams.source.control(kind, arguments)
            return []
        if kind not in _KINDS:
            raise Refused(f"{kind}: no such fault")
        return _KINDS[kind](self, arguments)

    def stop(self) -> Outs:
        """End every lasting fault."""
        streams = self._streams
        hurt = [s for s in streams.sessions if s.silent or s.stalled]
        self._rest.stop()
        self._refuse.clear()
        self._lag({"seconds": 0})
        streams.silent = False
        streams.early = streams.mute = streams.wrong_checksums = 0
        with suppress(Refused):
            streams.source.control("freeze", {"on": False})
        outs = self._maintenance({"on": False}) if streams.platform == 0 else []
        return outs + each(hurt, Abort())

    def refused(self) -> int | None:
        """The status a handshake is refused with, None when it is served."""
        return self._refuse.pop() if self._refuse else None

    def wait_up(self, endpoint: str) -> float:
        """Seconds a REST call spends on its way before it arrives."""
        return self._rest.wait_up(endpoint)

    def stop_call(self, endpoint: str) -> Stopped | None:
        """Whether a REST call is stopped at the door, and how."""
        if self._rest_maintenance and endpoint != "platform/status":
            return Stopped(Spoiled(rest.error(20060, "maintenance")))
        return self._rest.stop_call(endpoint)

    def spoil(self, endpoint: str, reply: rest.Reply) -> Spoiled:
        """What becomes of a good reply."""
        return self._rest.spoil(endpoint, reply)

    def _hit(self, arguments: dict[str, Any]) -> list[Session]:
        sessions = list(self._streams.sessions)
        count = arguments.get("connections", "all")
        return sessions if count == "all" else sessions[: int(count)]

    def _silence(self, arguments: dict[str, Any]) -> Outs:
        self._streams.silent = bool(arguments.get("new", False))
        for session in self._hit(arguments):
            session.silent = True
        return []

    def _half_open(self, arguments: dict[str, Any]) -> Outs:
        return each(self._hit(arguments), Stall())

    def _reset(self, arguments: dict[str, Any]) -> Outs:
        return each(self._hit(arguments), Abort())

    def _close(self, arguments: dict[str, Any]) -> Outs:
        code, reason = int(arguments.get("code", 1001)), str(arguments.get("reason", ""))
        return each(self._hit(arguments), Close(code, reason))

    def _refuse_next(self, arguments: dict[str, Any]) -> Outs:
        self._refuse += [int(arguments.get("status", 503))] * int(arguments.get("times", 1))
        return []

    def _malformed(self, arguments: dict[str, Any]) -> Outs:
        texts = [MALFORMED[str(name)] for name in arguments.get("frames") or MALFORMED]
        outs: Outs = []
        for session in self._hit(arguments):
            channel = str(next(iter(session.channels), 1))
            outs.append((session, [text.replace("CHANNEL", channel) for text in texts]))
        return outs

    def _text(self, arguments: dict[str, Any]) -> Outs:
        return each(self._hit(arguments), str(arguments["text"]))

    def _gap(self, arguments: dict[str, Any]) -> Outs:
        for session in self._hit(arguments):
            session.sequence += int(arguments.get("count", 1))
        return []

    def _checksum(self, arguments: dict[str, Any]) -> Outs:
        self._streams.wrong_checksums = int(arguments.get("times", 1))
        return []

    def _early(self, arguments: dict[str, Any]) -> Outs:
        self._streams.early = int(arguments.get("times", 1))
        return []

    def _mute(self, arguments: dict[str, Any]) -> Outs:
        self._streams.mute = int(arguments.get("times", 1))
        return []

    def _lag(self, arguments: dict[str, Any]) -> Outs:
        if self._orders:
            self._orders.lag = float(arguments.get("seconds", 2.0))
        return []

    def _info(self, arguments: dict[str, Any]) -> Outs:
        code = int(arguments.get("code", 20051))
        return each(self._hit(arguments), info_text(code, _INFO.get(code, "")))

    def _maintenance(self, arguments: dict[str, Any]) -> Outs:
        begins = bool(arguments.get("on", True))
        self._streams.platform = 0 if begins else 1
        self._rest_maintenance = begins and bool(arguments.get("rest", False))
        return self._info({"code": 20060 if begins else 20061})


_KINDS: dict[str, Callable[[Faults, dict[str, Any]], Outs]] = {
    "silence": Faults._silence,
    "half_open": Faults._half_open,
    "reset": Faults._reset,
    "close": Faults._close,
    "refuse": Faults._refuse_next,
    "malformed": Faults._malformed,
    "text": Faults._text,
    "gap": Faults._gap,
    "checksum": Faults._checksum,
    "early": Faults._early,
    "mute": Faults._mute,
    "lag": Faults._lag,
    "info": Faults._info,
    "maintenance": Faults._maintenance,
}
