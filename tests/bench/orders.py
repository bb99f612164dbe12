"""The order benchmark: signed calls from several processes, ours and the peers' in one run.

Bounded in time, on 127.0.0.1 only. Every figure shown was measured in the same call.
"""

import dataclasses
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any

import requests

from tests import servers
from tests.bench.goals import Floor as Least
from tests.bench.goals import Goal, Measure, Results, Run, Verdict, figure, judge
from tests.bench.workshop import Missing, Workshop
from tests.trading import TRADING
from tests.trading_floor import WIDE, Floor

OURS = ("ours-sqlite", "ours-postgres")
PEERS = ("bitfinex-api-py", "ccxt", "ccxt-async", "requests")
LIMIT = 90  # of the real table, in any 60 s: the peers know it
READ_S, READ_RATE = 25.0, 8.0  # of each process: far above what the limit gives to all
CALLS = 40
THREADS = 8
CREW = "tests.bench.peers.our_orders"
SLOW_S = 3.0


@dataclasses.dataclass(frozen=True)
class Options:
    """`latency` ms at most on a call's way there, and the same back."""

    processes: int = 4
    keys: int = 1
    orders: int = 60
    latency: float = 10.0


def run_all(
    options: Options, workshop: Workshop, say: Callable[[str], None]
) -> tuple[list[Verdict], dict[str, Any]]:
    """One client after the other trades; the limits are tried at the same time, each at an
    exchange of its own, since they are waited for most of the time."""
    runs: list[Run] = []
    for name in OURS:
        say(f"[ours] {name}")
        runs += our_runs(name, options)
    for name in PEERS:
        say(f"[peer] {name}")
        runs.append(peer_orders(name, options, workshop))
    say(f"limits, {READ_S:.0f} s")
    limits = [partial(our_limit, name, options) for name in OURS]
    limits += [partial(peer_limit, name, options, workshop) for name in PEERS]
    with ThreadPoolExecutor(len(limits)) as threads:
        runs += [each.result() for each in [threads.submit(limit) for limit in limits]]
    verdicts = [judge(goal, Results({run["name"]: [run] for run in runs})) for goal in GOALS]
    machine = {
        "cores": os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
    }
    goals = [verdict.as_json() for verdict in verdicts]
    return verdicts, {"goals": goals, "runs": runs, "machine": machine}


def told(kind: str) -> Callable[[Callable[..., Run]], Callable[..., Run]]:
    """A run that fails has `error` instead of figures."""

    def decorate(run: Callable[..., Run]) -> Callable[..., Run]:
        @wraps(run)
        def tell(name: str, *words: Any) -> Run:
            facts = {"name": f"{kind}/{name}"}
            try:
                return facts | run(name, *words)
            except (Missing, OSError, RuntimeError, subprocess.SubprocessError) as error:
                return facts | {"error": str(error)}

        return tell

    return decorate


# --- Ours -----------------------------------------------------------------------------------------
@contextmanager
def opened(name: str, rates: dict[str, Any]) -> Iterator[Floor]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bfx-orders-")))
        url = f"sqlite:///{folder / 'shared.sqlite3'}"
        if name.endswith("postgres"):
            postgres = servers.Postgres(durable=True)
            stack.callback(postgres.stop)
            url = postgres.make_database(f"orders_{folder.name}")
        floor = Floor(folder, url, rates, crew=CREW)
        stack.callback(floor.close)
        yield floor


def our_runs(name: str, options: Options) -> list[Run]:
    """One installation for all of them, since starting it takes longest."""
    kinds = {"cost": our_cost, "wire": our_wire, "orders": our_orders}
    try:
        with opened(name, WIDE) as floor:
            return [told(kind)(run)(name, floor, options) for kind, run in kinds.items()]
    except (OSError, RuntimeError) as error:
        return [{"name": f"{kind}/{name}", "error": str(error)} for kind in kinds]


def our_cost(name: str, floor: Floor, options: Options) -> Run:
    desk, [pair] = floor.open_desk(), issue(floor.exchange, 1)
    address = floor.exchange.url
    return dict(floor.ask("cost", keys=desk.uuids, address=address, pair=pair, calls=CALLS))


def our_wire(name: str, floor: Floor, options: Options) -> Run:
    desk = floor.open_desk()
    slow = {"seconds": SLOW_S, "times": THREADS, "endpoint": "auth/r/wallets"}
    floor.exchange.fault(kind="slow", **slow)
    return dict(floor.ask("wire", keys=desk.uuids, threads=THREADS))


def our_orders(name: str, floor: Floor, options: Options) -> Run:
    desk = floor.open_desk(options.keys)
    slow_down(floor.exchange, options)
    done = desk.trade(processes=options.processes, orders=options.orders)
    found, placed = desk.truth(), done["states"].get("accepted", 0)
    seen = {
        "placed": placed,
        "cancelled": done["cancels"].get("requested", 0),
        "failed": options.orders - placed,
        "nonce refused": sum(n for reason, n in done["reasons"].items() if "nonce" in reason),
        "seconds": done["seconds"],
    }
    run = order_run(options, seen, found["active"])
    return run | {"refused_inside": desk.refused_inside()}


@told("limit")
def our_limit(name: str, options: Options) -> Run:
    with opened(name, {}) as floor:
        plan = {"processes": options.processes, "seconds": READ_S, "rate": READ_RATE}
        seen = floor.ask("read", keys=floor.open_desk().uuids, **plan)
        return limit_run(floor.exchange, seen)


# --- The peers ------------------------------------------------------------------------------------
@told("orders")
def peer_orders(name: str, options: Options, workshop: Workshop) -> Run:
    plan: dict[str, Any] = {"processes": options.processes, "orders": options.orders}
    with exchange(WIDE) as there:
        slow_down(there, options)
        seen = trade(workshop.traders(), name, there, plan, options.keys)
        return order_run(options, seen, len(still_open(there)))


@told("limit")
def peer_limit(name: str, options: Options, workshop: Workshop) -> Run:
    plan = {"processes": options.processes, "seconds": READ_S, "rate": READ_RATE}
    with exchange({}) as there:
        return limit_run(there, trade(workshop.traders(), name, there, plan, 1))


def trade(
    python: Path, name: str, there: servers.Exchange, plan: dict[str, Any], keys: int
) -> dict[str, Any]:
    plan = plan | {"address": there.url, "pairs": issue(there, keys)}
    script = servers.ROOT / "tests/bench/peers/traders.py"
    command = [str(python), str(script), name, json.dumps(plan)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def exchange(rates: dict[str, Any]) -> Iterator[servers.Exchange]:
    with tempfile.TemporaryDirectory(prefix="bfx-orders-") as folder:
        settings = {"BFX_RATES": json.dumps(rates)} if rates else {}
        there = servers.Exchange(Path(folder), **settings)
        try:
            yield there
        finally:
            there.stop()


def issue(there: servers.Exchange, count: int) -> list[list[str]]:
    """Keys and secrets, each of an account of its own."""
    pairs = []
    for number in range(count):
        wanted = {"permissions": TRADING, "user": f"peer{number}"}
        made = requests.post(f"{there.control}/keys", json=wanted, timeout=5).json()
        pairs.append([made["key"], made["secret"]])
    return pairs


def still_open(there: servers.Exchange) -> list[Any]:
    orders = requests.get(f"{there.control}/orders", timeout=10).json()["orders"]
    return [order for order in orders if order["active"]]


def slow_down(there: servers.Exchange, options: Options) -> None:
    seconds = options.latency / 1000
    there.fault(kind="latency", up=seconds, down=seconds)


# --- Runs -----------------------------------------------------------------------------------------
def order_run(options: Options, seen: dict[str, Any], left_open: int) -> Run:
    done = seen.get("placed", 0) + seen.get("cancelled", 0)
    refused = seen.get("nonce refused", 0)
    calls = done + refused + seen.get("failed", 0)
    return {
        "processes": options.processes,
        "keys": options.keys,
        "orders": options.orders,
        "placed": seen.get("placed", 0),
        "refused": refused,
        "refused_share": refused / calls if calls else 0.0,
        "failed": seen.get("failed", 0),
        "left_open": left_open,
        "calls_a_second": done / seen["seconds"],
    }


def limit_run(there: servers.Exchange, seen: dict[str, Any]) -> Run:
    counters = there.counters()
    return {
        "sent": counters["requests"].get("auth/r/wallets", 0),
        "ok": seen.get("ok", 0),
        "most_in_a_minute": counters["most_requests_in_a_window"].get("auth/r/wallets", 0),
        "trips": counters["violations"].get("rest_rate", 0),
        "sent_while_blocked": counters["requests_while_blocked"],
    }


def all_of(names: Sequence[str], kind: str, name: str) -> Callable[[Results], float]:
    """The worst of these clients."""
    return lambda results: max(
        results.largest(f"{kind}/{each}", lambda r: r[name]) for each in names
    )


def ratio(database: str, way: str) -> Callable[[Results], float]:
    run = f"cost/ours-{database}"
    return lambda results: results.median(run, lambda r: r[f"{way}_ms"] / r[f"bare_{way}_ms"])


def added(database: str, way: str) -> Callable[[Results], float]:
    run = f"cost/ours-{database}"
    return lambda results: results.median(run, lambda r: r[f"{way}_ms"] - r[f"bare_{way}_ms"])


def asked(way: str, what: str) -> Callable[[Results], float]:
    return lambda results: max(
        results.largest(f"cost/{each}", lambda r: r[way][what]) for each in OURS
    )


NONE = Least(at_most=0)
# Guards against a call that grew dear. A busy machine raises the ratios, since each statement waits
# for its turn, so they are above what a quiet one shows.
COSTS = [
    measure
    for database in ("sqlite", "postgres")
    for way, most in (("read", 4.0), ("place", 9.0))
    for measure in (
        Measure(f"{way} / bare, {database}", ratio(database, way), Least(at_most=most)),
        Measure(f"{way} - bare, ms, {database}", added(database, way)),
    )
]
GOALS = (
    Goal(
        "O1",
        "no caller meets a refused nonce, every order is placed and cancelled",
        (),
        (
            Measure("ours: calls refused", all_of(OURS, "orders", "refused"), NONE),
            Measure("ours: orders not placed", all_of(OURS, "orders", "failed"), NONE),
            Measure("ours: orders left open", all_of(OURS, "orders", "left_open"), NONE),
            *(
                Measure(f"{name}: share refused", all_of([name], "orders", "refused_share"))
                for name in PEERS
            ),
            *(
                Measure(f"{name}: orders left open", all_of([name], "orders", "left_open"))
                for name in PEERS
            ),
        ),
    ),
    Goal(
        "O2",
        "no limit is exceeded, and nothing is sent while the address is blocked",
        (),
        (
            Measure("ours: trips", all_of(OURS, "limit", "trips"), NONE),
            Measure("ours: sent while blocked", all_of(OURS, "limit", "sent_while_blocked"), NONE),
            *(
                Measure(
                    f"{name}: sent while blocked", all_of([name], "limit", "sent_while_blocked")
                )
                for name in PEERS
            ),
        ),
    ),
    Goal(
        "O3", "time of a signed call beside a bare one (limiter, grant, record)", (), tuple(COSTS)
    ),
    Goal(
        "O4",
        "database transactions of one call",
        (),
        (
            Measure("read", asked("read", "transactions"), Least(at_most=2)),
            Measure("place", asked("place", "transactions"), Least(at_most=8)),
            Measure("statements of a read", asked("read", "statements")),
            Measure("statements of a place", asked("place", "statements")),
        ),
    ),
    Goal(
        "O5",
        "database connections held while requests are on the wire",
        (),
        (
            Measure("held", all_of(OURS, "wire", "held"), NONE),
            Measure(
                "looks",
                lambda r: min(r.median(f"wire/{n}", lambda run: run["looks"]) for n in OURS),
                Least(at_least=1),
            ),
        ),
    ),
)


def table(verdicts: Sequence[Verdict], report: dict[str, Any]) -> str:
    """The goals, then the runs they were read from."""
    lines = [line for verdict in verdicts for line in verdict.lines()]
    for run in report["runs"]:
        facts = {name: value for name, value in run.items() if name != "name"}
        line = ", ".join(f"{name} {shown(value)}" for name, value in facts.items())
        lines.append(f"{run['name']:<24}{line}")
    passed = sum(verdict.passed for verdict in verdicts)
    machine = report["machine"]
    lines.append(
        f"{passed} of {len(verdicts)} goals pass ({machine['cores']} cores, "
        f"load {machine['load_average'][0]}, Python {machine['python']})"
    )
    return "\n".join(lines)


def shown(value: object) -> str:
    return figure(value) if isinstance(value, int | float) else str(value)
