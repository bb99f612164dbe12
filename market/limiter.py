"""The request budgets of one egress address, shared through the database by all its processes.

A slot is taken before the request leaves. Whoever cannot read or write the budgets sends nothing
(`LimiterClosed`).
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import msgspec
import structlog
from django.db import Error, connection, transaction
from prometheus_client import Histogram

from market import clock
from market.bitfinex.errors import LimiterClosed, NoSlot
from market.conf import exchange
from market.limits import (
    LONGEST_WAIT,
    Ask,
    Asked,
    Lane,
    Rates,
    Sent,
    Window,
    block_until,
    decide,
    read_rates,
    shifted,
    used,
)
from market.models import IpBlock, RateWindow

log = structlog.get_logger(__name__)

WAITED = Histogram(
    "bfxdash_limiter_wait_seconds",
    "Wait for a request slot",
    ["endpoint"],
    buckets=(0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60),
)


STEP_US = 500_000
DRIFT = 0.001
"""A clock that gained more than this, in µs and as a part of the time passed, was set forward."""


class Budget(msgspec.Struct, frozen=True):
    """What is left of one endpoint's window. `left` is for reading and placing, `left_urgent` for
    cancels and look-ups. Times in seconds.
    """

    endpoint: str
    limit: int
    window: float
    left: int
    left_urgent: int


class State(msgspec.Struct, frozen=True):
    """`blocked_for` is 0 unless the exchange has blocked the address."""

    egress: str
    blocked_for: float
    budgets: list[Budget]


class _Slot(NamedTuple):
    taken: bool
    wait: float  # seconds from `read_at` until it is, or comes, free
    read_at: float  # monotonic


def acquire(scope: str, lane: Lane, deadline: float, user: int | None = None) -> float:
    """`Limiter.acquire` for the exchange of the settings."""
    return current().acquire(scope, lane, deadline, user)


def block(scope: str, seconds: float) -> None:
    """`Limiter.block` for the exchange of the settings."""
    current().block(scope, seconds)


def state() -> State:
    """What is left of each budget that was used, and for how long the address is blocked."""
    return current().state()


def current() -> "Limiter":
    here = exchange()
    return _limiter(here.egress, json.dumps(here.rates))


@cache
def _limiter(egress: str, rates: str) -> "Limiter":
    return Limiter(egress, read_rates(json.loads(rates)))


def give_back_connection() -> None:
    """Let another thread have the database connection while this one waits or sends. A pooled
    connection would otherwise stay with the thread until its web request ends.

    Without a pool nobody waits for it, and on SQLite closing the last connection costs a checkpoint
    of the whole log (more than all the rest of a call).
    """
    if "pool" in connection.settings_dict["OPTIONS"] and not connection.in_atomic_block:
        connection.close()


class Limiter:
    """The budgets of one egress address. Of its own it knows only when it last read the clock."""

    def __init__(
        self,
        egress: str,
        rates: Rates,
        *,
        now_us: Callable[[], int] = clock.now_us,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        steady: Callable[[], float] = clock.steady,
    ) -> None:
        self.egress = egress
        self.rates = rates
        self._now_us = now_us
        self._sleep = sleep
        self._monotonic = monotonic
        self._steady = steady
        self._seen: dict[str, tuple[int, float]] = {}  # endpoint → both clocks, when last read

    def acquire(
        self, scope: str, lane: Lane = "read", deadline: float = 0.0, user: int | None = None
    ) -> float:
        """Return once a request may leave; it must leave before the moment returned, on the
        monotonic clock, or take a new slot.

        Waits up to `deadline` seconds. Raises NoSlot with the time to come back, or LimiterClosed.
        Must not be called in a transaction, since the slot must be known to others at once.
        """
        started = self._monotonic()
        give_up = started + min(deadline, LONGEST_WAIT)
        while True:
            wait_us = round((give_up - self._monotonic()) * 1_000_000)
            slot = self._reserve(scope, Ask(lane, user, max(0, wait_us)))
            if not slot.taken:
                raise NoSlot(scope, slot.wait)
            if slot.wait > 0:
                give_back_connection()
                self._sleep(slot.wait)
            leave_by = slot.read_at + slot.wait + self.rates.of(scope).slack
            blocked = slot.wait > 0 and self.blocked_for() > 0
            if self._monotonic() < leave_by and not blocked:
                WAITED.labels(scope).observe(self._monotonic() - started)
                return leave_by

    def block(self, scope: str, seconds: float) -> None:
        """Nothing leaves from this address for so long; `scope` is the endpoint that tripped."""
        log.warning("address blocked by the exchange", egress=self.egress, endpoint=scope)
        with self._closed_on_failure(), transaction.atomic(durable=True):
            row = IpBlock.objects.select_for_update().filter(egress=self.egress).first()
            now = self._now_us()
            known = block_until(row.until_us, now, self.rates.block) if row else 0
            until = max(known, now + round(seconds * 1_000_000))
            IpBlock.objects.update_or_create(egress=self.egress, defaults={"until_us": until})

    def blocked_for(self) -> float:
        """Seconds until the address is free again, 0 when it is."""
        with self._closed_on_failure():
            now = self._now_us()
            return max(0.0, (self._blocked_until(now) - now) / 1_000_000)

    def state(self) -> State:
        """What is left of each budget that was used, and for how long the address is blocked."""
        with self._closed_on_failure():
            rows = RateWindow.objects.filter(scope__startswith=f"{self.egress}|").order_by("scope")
            now = self._now_us()
            budgets = [self._budget(row, now) for row in rows]
        return State(self.egress, self.blocked_for(), budgets)

    def _budget(self, row: RateWindow, now_us: int) -> Budget:
        endpoint = row.scope.removeprefix(f"{self.egress}|")
        rate = self.rates.of(endpoint)
        taken = used(_window(row), rate, now_us)
        return Budget(
            endpoint=endpoint,
            limit=rate.limit,
            window=rate.window,
            left=max(0, rate.cap("read") - taken),
            left_urgent=max(0, rate.cap("cancel") - taken),
        )

    def _reserve(self, scope: str, ask: Ask) -> _Slot:
        with self._closed_on_failure(), transaction.atomic(durable=True):
            row = self._locked(f"{self.egress}|{scope}")
            now, read_at = self._now_us(), self._monotonic()
            blocked = self._blocked_until(now)
            window = self._in_time(scope, _window(row), now)
            decision = decide(window, ask, self.rates.of(scope), now, blocked)
            _store(row, decision.window)
        wait = max(0, decision.free_us - now) / 1_000_000
        return _Slot(decision.at_us is not None, wait, read_at)

    def _in_time(self, scope: str, window: Window, now_us: int) -> Window:
        """The log in the clock's own time, when the clock was set forward since we last looked."""
        steady = self._steady()
        before, steady_before = self._seen.get(scope, (now_us, steady))
        self._seen[scope] = (now_us, steady)
        passed = (steady - steady_before) * 1_000_000
        step = now_us - before - round(passed)
        return shifted(window, before, step) if step > STEP_US + passed * DRIFT else window

    def _locked(self, scope: str) -> RateWindow:
        locked = RateWindow.objects.select_for_update()
        row = locked.filter(scope=scope).first()
        if row is None:
            RateWindow.objects.bulk_create([RateWindow(scope=scope)], ignore_conflicts=True)
            row = locked.get(scope=scope)
        return row

    def _blocked_until(self, now_us: int) -> int:
        row = IpBlock.objects.filter(egress=self.egress).first()
        if row is None:
            return 0
        until = block_until(row.until_us, now_us, self.rates.block)
        if until < row.until_us:
            IpBlock.objects.filter(egress=self.egress, until_us=row.until_us).update(until_us=until)
        return until

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            raise LimiterClosed(type(error).__name__) from None


def _window(row: RateWindow) -> Window:
    return Window([Sent(*one) for one in row.ring], [Asked(*one) for one in row.asked])


def _store(row: RateWindow, window: Window) -> None:
    row.ring, row.asked = list(window.ring), list(window.asked)
    row.save(update_fields=["ring", "asked"])
