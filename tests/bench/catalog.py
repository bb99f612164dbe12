"""The runs of the fan-out benchmark and the goals P1 to P13 that are read from them.

A floor is what a noisy machine must still reach: ratios within one run, so that the machine's own
speed cancels out. Efficiency is updates received per CPU-second of the server.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.bench.goals import Floor, Goal, Measure, NotMeasured, Results, Run

INTERVAL_MS = 100
LOWAT = 16_384  # bytes the kernel may hold unsent for one browser
RECEIVE_WINDOW = 16_384  # what a slow reader's own socket may hold
ROW_BYTES = 128


@dataclass(frozen=True)
class Load:
    """Options of the load generator; times in seconds, paces in bytes per second."""

    clients: int = 50
    symbols: int = 100
    rate: int = 100
    window: float = 3.0
    warm: float = 1.0
    drain: float = 2.0
    stalled: int = 0
    slow: int = 0
    paces: str = ""
    ping: float = 0.0
    storm: bool = False
    timeout: float = 20.0
    deflate: bool = False


@dataclass(frozen=True)
class Spec:
    """One run: which server, how it flushes (0 = per tick), under which load."""

    name: str
    server: str
    load: Load = field(default_factory=Load)
    flush_ms: int = 0
    block_ms: int = 0
    rounds: int = 2
    """One for a long run, or for a count rather than a ratio of speeds; more for a server that
    uses little CPU, whose figure others disturb most.
    """


S1 = Load(clients=50, symbols=50, rate=20, window=6.0)  # longer: it uses so little CPU
S2 = Load(clients=200, rate=100)
S3 = Load(clients=1000, rate=200)
S4 = Load(clients=2000, rate=500)
IDLE = Load(clients=1000, rate=0)
STALLED = Load(clients=40, rate=400, window=60)
SLOW = Load(clients=14, rate=600, window=40, slow=4, paces="20000", drain=0)
MIXED = Load(clients=9, rate=1000, slow=4, paces="8000,15000,30000,60000", ping=1, drain=15)
ZIPPED = Load(clients=300, rate=300)


def specs(*, full: bool) -> list[Spec]:
    """All runs in the order they are made; short ones of the same load lie side by side."""
    mixed = replace(MIXED, window=29.0 if full else 8.0)
    return [
        Spec("S1/stock", "stock", S1, rounds=4),
        Spec("S1/ours", "ours", S1, rounds=4),
        Spec("S1/raw", "raw", S1),
        Spec("S2/stock", "stock", S2, rounds=1),
        Spec("S2/ours", "ours", S2),
        Spec("S2/raw", "raw", S2),
        Spec("S2/ws", "ws", S2),
        Spec("S2/node", "node", S2),
        Spec("S2/picows", "picows", S2),
        Spec("S3/ours", "ours", S3, INTERVAL_MS),
        Spec("S3/raw", "raw", S3, INTERVAL_MS),
        Spec("S3/node", "node", S3, INTERVAL_MS),
        Spec("S3/ws", "ws", S3, INTERVAL_MS),
        Spec("S3/picows", "picows", S3, INTERVAL_MS),
        Spec("S4/ours", "ours", S4, INTERVAL_MS),
        Spec("P6/none", "ours", replace(STALLED, window=20), INTERVAL_MS, rounds=1),
        Spec("P6/few", "ours", replace(STALLED, stalled=2), INTERVAL_MS, rounds=1),
        Spec("P6/half", "ours", replace(STALLED, stalled=20), INTERVAL_MS, rounds=1),
        Spec("P6/ws-half", "ws", replace(STALLED, stalled=20), INTERVAL_MS, rounds=1),
        Spec("P7/ours", "ours", SLOW, INTERVAL_MS, rounds=1),
        Spec("P7/ws", "ws", SLOW, INTERVAL_MS, rounds=1),
        Spec("P8/ours", "ours", mixed, INTERVAL_MS, rounds=1),
        Spec("P9/ours-1000", "ours", _storm(1000), INTERVAL_MS),
        Spec("P9/auth-1000", "auth", _storm(1000)),
        Spec("P9/ours-2000", "ours", _storm(2000), INTERVAL_MS, rounds=1),
        Spec("P9/auth-2000", "auth", _storm(2000), rounds=1),
        Spec("P10/stock", "stock", S1, block_ms=200),
        Spec("P10/free", "ours", S2, INTERVAL_MS),
        Spec("P10/blocked", "ours", S2, INTERVAL_MS, block_ms=200),
        Spec("P11/ours", "ours", ZIPPED, INTERVAL_MS),
        Spec("P11/ours-deflate", "ours", replace(ZIPPED, deflate=True), INTERVAL_MS),
        Spec("P11/ws", "ws", ZIPPED, INTERVAL_MS),
        Spec("P11/ws-deflate", "ws", replace(ZIPPED, deflate=True), INTERVAL_MS),
        Spec("P12/bare", "bare", IDLE),
        Spec("P12/ours", "ours", IDLE, INTERVAL_MS),
        Spec("P13/decode", "micro-decode", rounds=1),
        Spec("P13/hop", "micro-hop", rounds=1),
    ]


def _storm(clients: int) -> Load:
    return Load(clients=clients, rate=0, storm=True, timeout=45.0)


# --- figures of one run ---------------------------------------------------------------------------


def efficiency(run: Run) -> float:
    """Over the whole window: a full garbage collection every few seconds is part of the cost."""
    return float(run["updates"] / run["cpu_s"])


def p99(run: Run) -> float:
    if not run["latency"]["n"]:
        raise KeyError("no update came")
    return float(run["latency"]["p99"])


def delivered(run: Run) -> float:
    """Share of all (tick, client) pairs. In our conflated loads no symbol ticks twice an interval,
    so there less than 1 means that flushes came late.
    """
    return float(
        run["updates"] / (run["ticks"] * (run["clients"] - run["stalled"] - run["slow_n"]))
    )


def core_share(run: Run) -> float:
    return float(run["cpu_s"] / run["window_s"])


def bytes_per_update(run: Run) -> float:
    return float(run["bytes"] / run["updates"])


def growth_mb(run: Run) -> float:
    return float((run["rss_peak_kb"] - run["rss_start_kb"]) / 1024)


def idle_kb(run: Run) -> float:
    return float((run["rss_end_kb"] - run["rss_before_kb"]) / run["opened"])


def last_age_s(run: Run) -> float:
    ages = [part["ms"]["p99"] for part in run["age"] if part["ms"]["n"]]
    return float(ages[-1] / 1000)


def age_growth(run: Run) -> float:
    """Age at the end over age in the second bin, when the buffers are full."""
    ages = [part["ms"]["p99"] for part in run["age"] if part["ms"]["n"]]
    return float(ages[-1] / ages[1])


def slow_share_of_bound(run: Run) -> float:
    """Worst slow reader: time to the final state over what its line needs for the bytes that may
    wait: unsent, in its own socket, a frame being written and the merged one after it.
    """
    waiting = LOWAT + RECEIVE_WINDOW + 2 * run["symbols"] * ROW_BYTES
    shares = []
    for reader in run["slow"]:
        if reader["converged_ms"] < 0:
            raise NotMeasured("a slow reader never got there")
        shares.append(reader["converged_ms"] / (INTERVAL_MS + waiting / reader["pace"] * 1000))
    return float(max(shares))


def handshake_cpu(run: Run) -> float:
    return float(run["connect_cpu_s"] / run["opened"])


def figure_of(key: str) -> Callable[[Run], float]:
    return lambda run: float(run[key])


# --- figures of several runs ----------------------------------------------------------------------


def over(
    one: str, other: str, what: Callable[[Run], float], *, by: Callable[[Run], float] | None = None
) -> Callable[[Results], float]:
    return lambda r: r.median(one, what) / r.median(other, by or what)


def output(one: str, other: str) -> Callable[[Results], float]:
    """Updates per CPU-second, each by the round that the rest of the machine disturbed least: a
    cache that others have emptied costs the server that works little the most.
    """
    return lambda r: r.largest(one, efficiency) / r.largest(other, efficiency)


def only(name: str, what: Callable[[Run], float]) -> Callable[[Results], float]:
    return lambda r: r.median(name, what)


def worst(name: str, what: Callable[[Run], float]) -> Callable[[Results], float]:
    return lambda r: r.largest(name, what)


def added_cpu(r: Results, name: str) -> float:
    """CPU-seconds that compression adds to an update; below 0 when sending fewer bytes saves more
    than compressing costs.
    """
    return 1 / r.largest(f"{name}-deflate", efficiency) - 1 / r.largest(name, efficiency)


def above_interval(name: str) -> Callable[[Results], float]:
    return lambda r: r.median(name, p99) - INTERVAL_MS


def goal(
    id_: str, what: str, *measures: tuple[str, Callable[[Results], float], Floor | None], needs: str
) -> Goal:
    return Goal(id_, what, tuple(needs.split()), tuple(Measure(*m) for m in measures))


def least(value: float) -> Floor:
    return Floor(at_least=value)


def most(value: float) -> Floor:
    return Floor(at_most=value)


QUICK = ("P1", "P2", "P3", "P4", "P8", "P10")

GOALS = (
    goal(
        "P1",
        "messages per CPU-second, per tick, 50 clients x 20 ticks/s",
        ("ours / stock Channels", output("S1/ours", "S1/stock"), least(10)),
        ("share delivered", only("S1/ours", delivered), least(0.97)),
        needs="S1/stock S1/ours",
    ),
    goal(
        "P2",
        "messages per CPU-second, per tick, 200 x 100",
        ("ours / raw uvloop ceiling", output("S2/ours", "S2/raw"), least(0.6)),
        ("ours / websockets.broadcast", output("S2/ours", "S2/ws"), least(1.0)),
        ("share delivered", only("S2/ours", delivered), least(0.97)),
        needs="S2/ours S2/raw S2/ws",
    ),
    goal(
        "P3",
        "updates per CPU-second, conflated to 100 ms, 1000 x 200",
        ("ours / stock's best (50 x 20)", output("S3/ours", "S1/stock"), least(200)),
        ("ours / raw ceiling, same conflation", output("S3/ours", "S3/raw"), least(0.55)),
        ("ours / node ws, same conflation", output("S3/ours", "S3/node"), least(0.9)),
        ("clients without the newest state", worst("S3/ours", figure_of("unconverged")), most(0)),
        needs="S1/stock S3/ours S3/raw S3/node",
    ),
    goal(
        "P4",
        "p99 latency",
        ("per tick 200 x 100, ours / raw ceiling", over("S2/ours", "S2/raw", p99), most(2.0)),
        ("conflated 1000 x 200, ours / raw ceiling", over("S3/ours", "S3/raw", p99), most(1.15)),
        ("conflated 1000 x 200, ms above the interval", above_interval("S3/ours"), most(25)),
        needs="S2/ours S2/raw S3/ours S3/raw",
    ),
    goal(
        "P5",
        "capacity: 2000 browsers x 500 ticks/s in one process",
        ("share of a core", only("S4/ours", core_share), most(0.5)),
        ("ticks not merged with a later one", only("S4/ours", delivered), None),
        ("clients without the newest state", worst("S4/ours", figure_of("unconverged")), most(0)),
        needs="S4/ours",
    ),
    goal(
        "P6",
        "readers that stopped reading, for 60 s",
        ("half stalled: process growth, MB", only("P6/half", growth_mb), most(2)),
        ("5 % stalled: process growth, MB", only("P6/few", growth_mb), most(2)),
        (
            "half: kernel KB per stalled socket",
            only("P6/half", figure_of("stalled_peak_kb")),
            most(64),
        ),
        (
            "5 %: kernel KB per stalled socket",
            only("P6/few", figure_of("stalled_peak_kb")),
            most(64),
        ),
        ("half: p99 of the others / none stalled", over("P6/half", "P6/none", p99), most(1.3)),
        ("5 %: p99 of the others / none stalled", over("P6/few", "P6/none", p99), most(1.3)),
        ("half: given up by us", only("P6/half", figure_of("dropped")), None),
        ("websockets.broadcast, half: growth, MB", only("P6/ws-half", growth_mb), None),
        (
            "websockets.broadcast, half: kernel KB per stalled",
            only("P6/ws-half", figure_of("stalled_peak_kb")),
            None,
        ),
        needs="P6/none P6/few P6/half P6/ws-half",
    ),
    goal(
        "P7",
        "age of the data a 20 kB/s reader of 60 kB/s sees, after 40 s",
        ("p99, seconds", only("P7/ours", last_age_s), most(3)),
        ("ours / websockets.broadcast", over("P7/ours", "P7/ws", last_age_s), most(0.15)),
        ("end / beginning", only("P7/ours", age_growth), None),
        needs="P7/ours P7/ws",
    ),
    goal(
        "P8",
        "convergence after the last tick, readers of 8 to 60 kB/s among them",
        (
            "fast: ms to the final state",
            worst("P8/ours", figure_of("converged_ms")),
            most(INTERVAL_MS + 50),
        ),
        ("fast clients without it", worst("P8/ours", figure_of("unconverged")), most(0)),
        ("slow: time / what the line needs", worst("P8/ours", slow_share_of_bound), most(1)),
        ("malformed frames", worst("P8/ours", figure_of("malformed")), most(0)),
        ("rows that went back in time", worst("P8/ours", figure_of("backwards")), most(0)),
        needs="P8/ours",
    ),
    goal(
        "P9",
        "reconnect storm",
        ("1000: refused", worst("P9/ours-1000", figure_of("refused")), most(0)),
        ("2000: refused", worst("P9/ours-2000", figure_of("refused")), most(0)),
        (
            "1000: time / stock Daphne",
            over("P9/ours-1000", "P9/auth-1000", figure_of("connect_s")),
            most(0.2),
        ),
        (
            "2000: time / stock Daphne",
            over("P9/ours-2000", "P9/auth-2000", figure_of("connect_s")),
            most(0.2),
        ),
        (
            "CPU per handshake / AuthMiddlewareStack",
            over("P9/ours-1000", "P9/auth-1000", handshake_cpu),
            most(0.6),
        ),
        ("2000: refusals by stock Daphne", only("P9/auth-2000", figure_of("refused")), None),
        ("2000: seconds, ours", only("P9/ours-2000", figure_of("connect_s")), None),
        needs="P9/ours-1000 P9/auth-1000 P9/ours-2000 P9/auth-2000",
    ),
    goal(
        "P10",
        "p99 with a 200 ms blocking call once a second / without",
        ("ours", over("P10/blocked", "P10/free", p99), most(1.3)),
        ("stock Channels", over("P10/stock", "S1/stock", p99), None),
        needs="S1/stock P10/stock P10/free P10/blocked",
    ),
    goal(
        "P11",
        "bytes per update / stock's JSON dict; CPU of compression",
        ("plain", over("P11/ours", "S1/stock", bytes_per_update), most(0.5)),
        ("compressed", over("P11/ours-deflate", "S1/stock", bytes_per_update), most(0.25)),
        (
            "CPU that it adds an update, ours / one deflate a connection",
            lambda r: added_cpu(r, "P11/ours") / added_cpu(r, "P11/ws"),
            most(0.2),
        ),
        (
            "all CPU of an update, ours / one deflate a connection",
            output("P11/ws-deflate", "P11/ours-deflate"),
            None,
        ),
        needs="S1/stock P11/ours P11/ours-deflate P11/ws P11/ws-deflate",
    ),
    goal(
        "P12",
        "idle memory per browser",
        ("ours / bare Daphne consumer", over("P12/ours", "P12/bare", idle_kb), most(1.1)),
        ("KB, ours", only("P12/ours", idle_kb), None),
        needs="P12/bare P12/ours",
    ),
    goal(
        "P13",
        "upstream: decode and newest state; the hop through Redis",
        ("decode + state, ours / json.loads", only("P13/decode", figure_of("ratio")), least(2)),
        ("p50 added by Redis, ms", only("P13/hop", figure_of("added_ms")), most(10)),
        needs="P13/decode P13/hop",
    ),
)
