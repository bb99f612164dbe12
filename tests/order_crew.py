"""Processes of one installation that trade with the same keys at once.

`python -m tests.order_crew` is their driver: a line `[WHAT, {…}]` in, its figures out as JSON.

- `migrate {}`
- `prepare {"control", "count"}`: Alice and her armed keys, each with an account of its own at the
  sandbox; gives `uuids` and `names` (as the exchange knows them).
- `trade {…}` (see `Plan`): workers place orders and cancel them.
- `write_ahead {"keys", "seconds"}`: the database as a clock so far ahead would have left it.
- `truth {"control", "keys", "seconds"}`: the resolver's rounds until nothing of these keys is in
  doubt, then what the database says of every order, beside what the exchange has.

The driver forks whoever uses the database or the exchange, and uses neither itself: so a worker
that was killed is replaced within milliseconds.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import django
import requests

FORK = multiprocessing.get_context("fork")
SYMBOL = "tBTCUSD"
AMOUNT, PRICE = Decimal("0.0001"), Decimal(20_000)  # rests far below the market
FROZEN_S = 0.6


@dataclass(frozen=True)
class Plan:
    """`processes` place `orders` altogether with the `keys` in turn, and `cancel` each of them.

    Each rests `pause` seconds between two orders. Every `disturb` seconds (0: never) one is killed,
    or frozen for a while, in turn. The clock of each is `ahead` seconds ahead. `pace` divides the
    waits of the product.
    """

    keys: list[str]
    processes: int = 2
    orders: int = 40
    cancel: bool = True
    follow: float = 20.0
    pause: float = 0.0
    disturb: float = 0.0
    ahead: float = 0.0
    pace: float = 1.0
    seed: int = 1


@dataclass
class Figures:
    """`killed_at`, `frozen_at`: moments by `time.time()`."""

    states: Counter[str] = field(default_factory=Counter)
    cancels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    raised: Counter[str] = field(default_factory=Counter)
    place_ms: list[float] = field(default_factory=list)
    killed_at: list[float] = field(default_factory=list)
    frozen_at: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, told: dict[str, Any]) -> None:
        if told["reason"]:
            self.reasons[told["reason"]] += 1
        if told["raised"]:
            self.raised[told["raised"]] += 1
        else:
            self.states[told["state"]] += 1
            self.place_ms.append(told["place_ms"])
        if told["cancel"]:
            self.cancels[told["cancel"]] += 1


class Failed(Exception):
    """A forked process ended before it told anything."""


class Crew:
    """Forked workers. Each is called with its number, a source of random numbers of its own, and a
    function that tells the driver one JSON value."""

    def __init__(self, work: Callable[[int, random.Random, Callable[[Any], None]], None]) -> None:
        self.work = work
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.members: dict[int, Any] = {}
        self.spawned = 0
        self.rest = b""

    def spawn(self, number: int, seed: int) -> None:
        self.spawned += 1
        chance = random.Random(f"{seed} {number} {self.spawned}")
        member = FORK.Process(target=self._run, args=(number, chance), daemon=True)
        member.start()
        self.members[number] = member

    def _run(self, number: int, chance: random.Random) -> None:
        self.work(number, chance, self._tell)

    def _tell(self, value: Any) -> None:
        os.write(self.writing, json.dumps(value).encode() + b"\n")  # one write is never torn

    def told(self) -> Iterator[Any]:
        with suppress(BlockingIOError):
            while piece := os.read(self.reading, 65536):
                *lines, self.rest = (self.rest + piece).split(b"\n")
                yield from map(json.loads, lines)

    def ended(self) -> list[int]:
        """Who ended and was not replaced yet."""
        return [number for number, member in self.members.items() if not member.is_alive()]

    def attend(
        self, hear: Callable[[Any], None], pass_time: Callable[[float], None], seed: int
    ) -> None:
        """Hears the members until all have done their work; whoever was killed is replaced."""
        while self.members:
            for told in self.told():
                hear(told)
            for number in self.ended():
                if self.members.pop(number).exitcode:
                    self.spawn(number, seed)
            pass_time(time.monotonic())
            time.sleep(0.005)
        for told in self.told():
            hear(told)

    def close(self) -> None:
        for member in self.members.values():
            member.kill()
            member.join()


# --- Trading --------------------------------------------------------------------------------------
def trade(plan: Plan) -> dict[str, Any]:
    """Runs until every order was tried once."""
    taken = FORK.Value("i", 0)
    ready, start = FORK.Semaphore(0), FORK.Event()

    def work(number: int, chance: random.Random, tell: Callable[[Any], None]) -> None:
        hurry(plan.pace)
        warm_up(plan)
        ready.release()
        start.wait()
        while (turn := take(taken)) < plan.orders:
            tell(place_and_cancel(plan, plan.keys[turn % len(plan.keys)]))
            time.sleep(plan.pause)

    crew, done = Crew(work), Figures()
    try:
        for number in range(plan.processes):
            crew.spawn(number, plan.seed)
        while ready.get_value() < plan.processes:
            if crew.ended():
                raise Failed("a worker ended before it began")
            time.sleep(0.01)
        start.set()
        began = time.monotonic()
        crew.attend(done.add, Trouble(crew, plan, done).pass_time, plan.seed)
        done.seconds = time.monotonic() - began
    finally:
        crew.close()
    return vars(done)


def take(taken: Any) -> int:
    with taken.get_lock():
        turn: int = taken.value
        taken.value += 1
    return turn


class Trouble:
    """Kills and freezes the members of a crew in turn, every `disturb` seconds, and not before one
    more order was tried since: on a busy machine nobody would ever get to work."""

    def __init__(self, crew: Crew, plan: Plan, done: Figures) -> None:
        self.crew, self.every, self.done = crew, plan.disturb, done
        self.chance = random.Random(plan.seed)
        self.next_at = time.monotonic() + self.every
        self.frozen: tuple[int, float] | None = None
        self.tried = 0

    def pass_time(self, now: float) -> None:
        if self.frozen and now >= self.frozen[1]:
            with suppress(ProcessLookupError):
                os.kill(self.frozen[0], signal.SIGCONT)
            self.frozen = None
        tried = sum(self.done.states.values())
        due = self.every and now >= self.next_at and tried > self.tried
        if due and not self.frozen and self.crew.members:
            self.next_at, self.tried = now + self.every, tried
            self.strike(self.chance.choice(list(self.crew.members.values())), now)

    def strike(self, victim: Any, now: float) -> None:
        if len(self.done.killed_at) <= len(self.done.frozen_at):
            self.done.killed_at.append(time.time())
            victim.kill()
        else:
            self.done.frozen_at.append(time.time())
            os.kill(victim.pid, signal.SIGSTOP)
            self.frozen = victim.pid, now + FROZEN_S


def hurry(pace: float) -> None:
    """Shorter waits of the product, all by the same factor; 1 is the product as it is."""
    from market import intents, orders, resolver

    for owner, name in (
        (intents, "TAKE_OVER"),
        (intents, "MARGIN"),
        (orders, "PLACE_PATIENCE"),
        (resolver, "SECOND_LOOK"),
        (resolver, "LEASE"),
        (resolver, "LONGEST_PAUSE"),
    ):
        setattr(owner, name, getattr(owner, name) / pace)


def warm_up(plan: Plan) -> None:
    """Imports, connections and prices, so that all of them begin alike."""
    from market.client import client
    from market.prices import known_prices

    if plan.ahead:
        import time_machine

        time_machine.travel(time.time() + plan.ahead, tick=True).start()
    client()
    known_prices(SYMBOL)


def place_and_cancel(plan: Plan, uuid: str) -> dict[str, Any]:
    from django.db import DatabaseError, connection

    from accounts.errors import AccountsError
    from market.bitfinex.errors import ExchangeError

    told: dict[str, Any] = {"raised": "", "state": "", "reason": "", "cancel": ""}
    try:
        place_one(plan, uuid, told)
    except (AccountsError, ExchangeError, DatabaseError) as error:
        told |= {"raised": type(error).__name__, "reason": str(error)[:80]}
        if isinstance(error, DatabaseError):
            connection.close()
            time.sleep(0.1)
    return told


def place_one(plan: Plan, uuid: str, told: dict[str, Any]) -> None:
    from accounts.models import ApiKey
    from market.orders import cancel_order, place_order

    key = ApiKey.objects.select_related("owner").get(pk=uuid)
    began = time.perf_counter()
    intent = place_order(
        user=key.owner,
        key=key,
        symbol=SYMBOL,
        side="buy",
        order_type="EXCHANGE LIMIT",
        amount=AMOUNT,
        price=PRICE,
        follow=plan.follow,
    )
    told["place_ms"] = (time.perf_counter() - began) * 1000
    told["state"], told["reason"] = intent.state, intent.reason[:80]
    if plan.cancel and intent.order_id:
        done = cancel_order(user=key.owner, key=key, order_id=intent.order_id)
        told["cancel"] = done.state
        told["reason"] = told["reason"] or done.reason[:80]


# --- Before and after -----------------------------------------------------------------------------
def migrate() -> dict[str, Any]:
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)
    return {}


def prepare(control: str, count: int) -> dict[str, Any]:
    from accounts import keys
    from accounts.models import User
    from accounts.policy import KeyPolicy
    from tests.trading import TRADING

    alice, _ = User.objects.get_or_create(username="alice")
    policy = KeyPolicy(day_total=Decimal(10**9))
    made: dict[str, list[str]] = {"uuids": [], "names": []}
    for number in range(count):
        given = {"permissions": TRADING, "user": f"trader {time.time_ns()}"}
        pair = requests.post(f"{control}/keys", json=given, timeout=5).json()
        names = {"api_key": pair["key"], "api_secret": pair["secret"]}
        key = keys.add_key(user=alice, label=f"{number}", policy=policy, **names)
        keys.arm_key(key=key, by=alice)
        made["uuids"].append(str(key.pk))
        made["names"].append(pair["key"])
    return made


def write_ahead(keys: list[str], seconds: float) -> dict[str, Any]:
    """Leaves the rows of these keys and all budgets as a clock so far ahead would have left them,
    and gives the last nonce. A database server's clock cannot be set by a test."""
    from django.db.models import F

    from accounts.models import ApiKey
    from market.models import RateWindow

    micros = round(seconds * 1_000_000)
    rows = ApiKey.objects.filter(pk__in=keys)
    rows.update(last_nonce=F("last_nonce") + micros, send_at=F("send_at") + micros)
    for window in RateWindow.objects.all():
        window.ring = [[at + micros, user] for at, user in window.ring]
        window.save()
    return {"nonce": max(row.last_nonce for row in rows.all())}


def truth(control: str, keys: dict[str, list[str]], seconds: float) -> dict[str, Any]:
    """Every intent beside every order of the exchange. `duplicate`: a client id that the exchange
    has twice; `lost`: an order that no intent knows; `false`: a state that is not so."""
    from market.models import OrderIntent, OrderState

    settle_s = settle(keys["uuids"], seconds)
    rows = requests.get(f"{control}/orders", timeout=30).json()["orders"]
    orders = [row for row in rows if row["key"] in keys["names"]]
    there = {order["cid"]: order["id"] for order in orders}
    intents = {row.cid: row for row in OrderIntent.objects.filter(key__in=keys["uuids"])}
    false = [
        f"{row.state} {row.cid}"
        for row in intents.values()
        if row.is_settled
        and (row.order_id if row.state == OrderState.ACCEPTED else None) != there.get(row.cid)
    ]
    return {
        "settle_s": settle_s,
        "intents": len(intents),
        "orders": len(orders),
        "active": sum(order["active"] for order in orders),
        "states": Counter(row.state for row in intents.values()),
        "duplicate": len(orders) - len(there),
        "lost": len(set(there) - set(intents)),
        "false": false,
        "unsettled": sum(not row.is_settled for row in intents.values()),
    }


def settle(keys: list[str], seconds: float) -> float:
    """Runs the resolver, as a server does, until nothing is in doubt."""
    from market import resolver
    from market.models import OrderIntent

    began = time.monotonic()
    doubtful = OrderIntent.objects.filter(settled_at=None, key__in=keys)
    while doubtful.exists() and time.monotonic() - began < seconds:
        resolver.settle_due()
        time.sleep(0.2)
    return round(time.monotonic() - began, 1)


def apart(what: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The same in a forked process, so that the driver never has a connection."""

    def run(**given: Any) -> dict[str, Any]:
        def work(_: int, __: random.Random, tell: Callable[[Any], None]) -> None:
            tell(what(**given))

        crew = Crew(work)
        crew.spawn(0, 0)
        crew.members[0].join()
        for told in crew.told():
            return dict(told)
        raise Failed(what.__name__)

    return run


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "migrate": apart(migrate),
    "prepare": apart(prepare),
    "write_ahead": apart(write_ahead),
    "truth": apart(truth),
    "trade": lambda **given: trade(Plan(**given)),
}


def main() -> None:
    django.setup()
    for line in sys.stdin:
        what, given = json.loads(line)
        print(json.dumps(COMMANDS[what](**given)), flush=True)


if __name__ == "__main__":
    main()
