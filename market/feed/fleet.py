"""All connections of one range: each is kept open, each attempt paid for, none in a hurry."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random

import structlog

from market.bitfinex import events
from market.bitfinex.events import Channel, Event
from market.bitfinex.pacing import reconnect_delays
from market.feed.connection import Connection, ConnectionFailed, ConnectionLimited, Listener
from market.feed.plan import CHANNELS, pack
from market.feed.ports import LedgerAway, Notify, Outside
from market.feed.table import Table

log = structlog.get_logger(__name__)

URGENT = 3
LEDGER_PAUSE = 2.0
LONGEST_NAP = 10.0  # then the ledger is asked again: another process may have died


@dataclass(slots=True, eq=False)
class Slot:
    """A place for one connection. `retry_at` is when it will be tried again (monotonic)."""

    channels: Sequence[Channel] = ()
    connection: Connection | None = None
    retry_at: float | None = None
    opened: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def room(self) -> int:
        return self.connection.room if self.connection else CHANNELS


@dataclass(frozen=True, slots=True)
class FleetView:
    """What the fleet looks like now. `out_of_reach`: the last attempt failed and nothing is open.
    `limited`: it failed because the exchange, or our own budget, allows no more connections.
    """

    wanted: int
    open: int
    was_open: bool
    out_of_reach: bool
    limited: bool
    retry_at: float | None


class Fleet:
    """`on_change` is called whenever the view changed."""

    def __init__(self, outside: Outside, table: Table, on_change: Notify) -> None:
        self._outside = outside
        self._table = table
        self._on_change = on_change
        self._clock = outside.clock
        self._timing = timing = outside.timing
        self._counters = outside.counters
        self._rng = Random()  # noqa: S311 - spreads load, guards nothing
        self._slots: list[Slot] = []
        self._wanted: Sequence[Channel] = ()
        self._tasks: asyncio.TaskGroup | None = None
        self._lanes = {True: asyncio.Lock(), False: asyncio.Lock()}
        self._probing = asyncio.Lock()
        self._probe_delays = reconnect_delays(timing.pace, self._rng)
        self._next_connect = 0.0
        self._proven = False  # that connections can be made at all
        self._out_of_reach = self._limited = False

    async def run(self) -> None:
        """Keep the wanted channels connected until cancelled. Any fault of our own ends it."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._arrange()
                await asyncio.Event().wait()
        finally:
            self._tasks = None

    def want(self, channels: Sequence[Channel]) -> None:
        """Have these channels, the most urgent first. What is live stays where it is."""
        self._wanted = channels
        self._arrange()

    def renew(self) -> None:
        """Subscribe to everything anew."""
        for slot in self._slots:
            if slot.connection:
                slot.connection.renew()

    def view(self) -> FleetView:
        retries = [slot.retry_at for slot in self._slots if slot.retry_at is not None]
        return FleetView(
            wanted=len(self._slots),
            open=self._count_open(),
            was_open=any(slot.opened for slot in self._slots),
            out_of_reach=self._out_of_reach,
            limited=self._limited,
            retry_at=min(retries, default=None),
        )

    # --- which slot carries what ---
    def _arrange(self) -> None:
        if self._tasks is None:
            return
        placed = [slot.channels if slot.connection else () for slot in self._slots]
        packed = pack(placed, self._wanted, [slot.room for slot in self._slots])
        while len(self._slots) < len(packed):
            self._slots.append(Slot())
        for slot, channels in zip(self._slots, packed, strict=True):
            slot.channels = channels
            if slot.connection:
                slot.connection.want(channels)
            if not slot.task:
                slot.task = self._tasks.create_task(self._keep(slot))
        for slot in [slot for slot in self._slots if not slot.channels]:
            self._slots.remove(slot)
            if slot.task:
                slot.task.cancel()
        self._on_change()

    def _hear(self, slot: Slot, event: Event) -> None:
        self._table.hear(event)
        if isinstance(event, events.Full):
            slot.channels = [channel for channel in slot.channels if channel != event.channel]
            asyncio.get_running_loop().call_soon(self._arrange)

    # --- the life of one slot ---
    async def _keep(self, slot: Slot) -> None:
        delays = reconnect_delays(self._timing.pace, self._rng)
        while True:
            connection = await self._connect(slot)
            opened = self._clock.monotonic()
            await self._serve(slot, connection)
            if self._clock.monotonic() - opened >= self._timing.healthy:
                delays = reconnect_delays(self._timing.pace, self._rng)
            await self._pause(slot, next(delays))

    async def _connect(self, slot: Slot) -> Connection:
        """The slot's connection, once it is open."""
        delays = reconnect_delays(self._timing.pace, self._rng)
        while not slot.connection:
            if not self._proven:
                await self._probe(slot)
            elif not await self._try(slot):
                await self._pause(slot, next(delays))
        return slot.connection

    async def _probe(self, slot: Slot) -> None:
        """While nobody knows whether the exchange can be reached, one slot at a time tries, for
        all.
        """
        async with self._probing:
            if self._proven:
                return
            if not await self._try(slot, probing=True):
                await self._pause(slot, next(self._probe_delays))

    async def _try(self, slot: Slot, *, probing: bool = False) -> bool:
        if not await self._pay(slot, probing):
            return False
        listener = Listener(partial(self._hear, slot), self._table.lose)
        try:
            slot.connection = await Connection.open(self._outside, listener)
        except ConnectionFailed as failure:
            await self._note_failure(failure)
            return False
        self._proven = True
        self._out_of_reach = self._limited = False
        self._probe_delays = reconnect_delays(self._timing.pace, self._rng)
        slot.opened += 1
        slot.connection.want(slot.channels)
        self._on_change()
        return True

    async def _serve(self, slot: Slot, connection: Connection) -> None:
        try:
            await connection.serve()
        except ConnectionFailed as failure:
            self._counters.connections_lost += 1
            log.warning("connection lost", reason=failure.reason)
        finally:
            slot.connection = None
            self._proven = self._count_open() > 0
            self._table.lose(slot.channels)
            self._on_change()
            await connection.close()

    async def _note_failure(self, failure: ConnectionFailed) -> None:
        self._counters.connects_failed += 1
        self._proven = self._count_open() > 0
        self._out_of_reach = not self._proven
        self._limited = isinstance(failure, ConnectionLimited)
        log.warning("cannot connect", reason=failure.reason)
        if self._limited:
            self._counters.connects_limited += 1
            with suppress(LedgerAway):
                await self._outside.ledger.use_up_connects()

    async def _pay(self, slot: Slot, probing: bool) -> bool:
        """True when this slot may connect now, false when the exchange went out of reach
        meanwhile. First connects stand in one line, in the order of the plan; reconnects in
        another, since a part of the budget is theirs. The first few share that part: after a
        restart they carry what is watched, while the rest has to wait.
        """
        first = not slot.opened
        async with self._lanes[first]:
            await self._space_out()
            while probing or self._proven:
                wait = await self._ask_ledger(first and self._count_open() >= URGENT)
                if not wait:
                    return True
                self._limited = True
                await self._pause(slot, min(wait, LONGEST_NAP), until=wait)
        return False

    async def _space_out(self) -> None:
        now = self._clock.monotonic()
        turn = max(self._next_connect, now)
        self._next_connect = turn + self._timing.step
        await asyncio.sleep(turn - now)

    async def _ask_ledger(self, first: bool) -> float:
        try:
            return await self._outside.ledger.pay_connect(first=first)
        except LedgerAway as away:
            self._counters.ledger_errors += 1
            log.warning("no connection is made: the ledger is away", reason=str(away))
            return LEDGER_PAUSE

    async def _pause(self, slot: Slot, seconds: float, until: float | None = None) -> None:
        slot.retry_at = self._clock.monotonic() + (until or seconds)
        self._on_change()
        await asyncio.sleep(seconds)
        slot.retry_at = None

    def _count_open(self) -> int:
        return sum(slot.connection is not None for slot in self._slots)
