"""Faults of REST calls: on the way there the call is not carried out, on the way back it was.

The table of kinds is in `faults`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from market.sandbox import rest

RATE_LIMIT_BODIES = {
    "ERR_RATE_LIMIT": '{"error":"ERR_RATE_LIMIT"}',
    "11010": '["error",11010,"ratelimit: error"]',
    "message": '{"message":"Ratelimit"}',
}
"""Every form in which the exchange was seen to say that an address is blocked."""


class Spoiled(NamedTuple):
    """How a reply is to be sent: late by `wait` seconds, cut off after half when `cut`, or not at
    all and the connection reset when `lost`."""

    reply: rest.Reply
    wait: float = 0.0
    cut: bool = False
    lost: bool = False


class Stopped(NamedTuple):
    """A call that never reaches the exchange's inside, and what the client sees of that.

    `block`: its address is blocked from now on.
    """

    spoiled: Spoiled
    block: bool = False


@dataclass
class RestFault:
    """One line of the table, and how often it still strikes."""

    kind: str
    times: int
    endpoint: str
    before: bool
    share: float
    arguments: dict[str, Any]

    @classmethod
    def read(cls, kind: str, arguments: dict[str, Any]) -> "RestFault":
        """Raises ValueError for arguments that are none."""
        fault = cls(
            kind,
            times=int(arguments.get("times", 1)),
            endpoint=str(arguments.get("endpoint", "")),
            before=kind in ("hold", "error", "rate_limit") or bool(arguments.get("before", False)),
            share=float(arguments.get("share", 1.0)),
            arguments=arguments,
        )
        fault.spoil(rest.Reply(200, "{}"))
        return fault

    def concerns(self, endpoint: str) -> bool:
        asked = self.endpoint
        return asked in ("", endpoint) or (
            asked.endswith("/*") and endpoint.startswith(asked.removesuffix("*"))
        )

    def spoil(self, reply: rest.Reply) -> Spoiled:
        """What becomes of a good reply (or, on the way there, of the place of one)."""
        arguments = self.arguments
        if self.kind == "status":
            status = int(arguments.get("status", 502))
            title = f"Error {status}"
            return Spoiled(rest.html(status, title, f"<h1>{title}</h1>\n<p>cloudflare</p>"))
        if self.kind == "body":
            body = arguments.get("body", "x" * int(arguments.get("size", 0)))
            return Spoiled(rest.Reply(int(arguments.get("status", 200)), str(body)))
        if self.kind == "error":
            code, text = int(arguments.get("code", 10114)), arguments.get("text", "nonce: small")
            return Spoiled(rest.error(code, str(text)))
        if self.kind == "rate_limit":
            body = RATE_LIMIT_BODIES[str(arguments.get("form", "ERR_RATE_LIMIT"))]
            return Spoiled(rest.Reply(int(arguments.get("status", 429)), body))
        if self.kind == "truncate":
            return Spoiled(reply._replace(body=reply.body[: len(reply.body) // 2]))
        if self.kind in ("slow", "hold"):
            return Spoiled(reply, wait=float(arguments.get("seconds", 2.0)))
        return Spoiled(reply, cut=self.kind == "cut", lost=self.kind == "lost")


KINDS = ("status", "body", "truncate", "cut", "slow", "lost", "hold", "error", "rate_limit")


class RestFaults:
    """The faults of REST calls in force. `seed` decides about shares and latencies."""

    def __init__(self, seed: int = 1) -> None:
        self._faults: list[RestFault] = []
        self._latency = (0.0, 0.0)
        self._random = random.Random(seed)

    def start(self, kind: str, arguments: dict[str, Any]) -> None:
        """Raises ValueError or KeyError for bad arguments."""
        if kind == "latency":
            self._latency = float(arguments.get("up", 0.0)), float(arguments.get("down", 0.0))
        else:
            self._faults.append(RestFault.read(kind, arguments))

    def stop(self) -> None:
        self._faults.clear()
        self._latency = 0.0, 0.0

    def wait_up(self, endpoint: str) -> float:
        """Seconds a call spends on its way before it arrives."""
        held = self._strike(endpoint, lambda fault: fault.kind == "hold")
        wait = held.spoil(rest.Reply(200, "")).wait if held else 0.0
        return wait + self._random.uniform(0, self._latency[0])

    def stop_call(self, endpoint: str) -> Stopped | None:
        """Whether a call is stopped at the door."""
        fault = self._strike(endpoint, lambda fault: fault.before and fault.kind != "hold")
        if fault is None:
            return None
        block = fault.kind == "rate_limit" and bool(fault.arguments.get("block", True))
        return Stopped(fault.spoil(rest.error(11000, "ready: invalid")), block)

    def spoil(self, endpoint: str, reply: rest.Reply) -> Spoiled:
        """What becomes of a good reply on its way back."""
        fault = self._strike(endpoint, lambda fault: not fault.before)
        spoiled = fault.spoil(reply) if fault else Spoiled(reply)
        wait = spoiled.wait + self._random.uniform(0, self._latency[1])
        return spoiled._replace(wait=wait)

    def _strike(self, endpoint: str, wanted: Callable[[RestFault], bool]) -> RestFault | None:
        """The first fault of that sort that hits, one strike less."""
        for fault in self._faults:
            if not wanted(fault) or not fault.concerns(endpoint):
                continue
            if fault.share < 1 and self._random.random() >= fault.share:
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)
            return fault
        return None
