"""The fan-out benchmark: makes the runs side by side, judges the goals, prints the table.

Bounded in time, on 127.0.0.1 only. Every figure shown was measured in the same call.
"""

import dataclasses
import json
import os
import platform
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench import servers
from tests.bench.catalog import GOALS, QUICK, Load, Spec, delivered, efficiency, specs
from tests.bench.goals import Goal, Results, Run, Verdict, figure, judge
from tests.bench.probe import Watch
from tests.bench.workshop import Missing, Workshop

SPARE_S = 30
SAMPLE_S = 1.0
MICRO_S = 120
Report = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Options:
    """What to run. `only` wins over `full`; the other values replace those of every load."""

    full: bool = False
    only: tuple[str, ...] = ()
    clients: int | None = None
    symbols: int | None = None
    rate: int | None = None
    seconds: float | None = None


def chosen_goals(options: Options) -> list[Goal]:
    """Raises ValueError for a goal that does not exist."""
    known = {goal.id: goal for goal in GOALS}
    if unknown := [id_ for id_ in options.only if id_ not in known]:
        raise ValueError(f"no goal {', '.join(unknown)}; there are {', '.join(known)}")
    ids = options.only or (tuple(known) if options.full else QUICK)
    return [known[id_] for id_ in ids]


def chosen_specs(options: Options, goals: Sequence[Goal]) -> list[Spec]:
    """The runs that the goals need; in full mode also those that are only there to be read."""
    quick = not options.full and not options.only
    needed = {name for goal in goals for name in goal.needs}
    everything = options.full and not options.only
    picked = [s for s in specs(full=not quick) if everything or s.name in needed]
    return [dataclasses.replace(spec, load=changed(spec.load, options)) for spec in picked]


def changed(load: Load, options: Options) -> Load:
    """The load with the caller's values. Who reads slowly or not at all keeps his share."""
    values: dict[str, Any] = {"symbols": options.symbols, "window": options.seconds}
    if load.rate:
        values["rate"] = options.rate
    if options.clients is not None:
        share = options.clients / load.clients
        values["clients"] = options.clients
        values["stalled"] = round(load.stalled * share)
        values["slow"] = round(load.slow * share)
    return dataclasses.replace(load, **{n: v for n, v in values.items() if v is not None})


def run_all(
    options: Options, workshop: Workshop, say: Callable[[str], None]
) -> tuple[list[Verdict], Report]:
    goals = chosen_goals(options)
    plan = chosen_specs(options, goals)
    turns = [(n, s) for n in range(max(s.rounds for s in plan)) for s in plan if n < s.rounds]
    runs: dict[str, list[Run]] = {}
    for at, (_, spec) in enumerate(turns, start=1):
        say(f"[{at}/{len(turns)}] {spec.name}")
        runs.setdefault(spec.name, []).append(run_once(spec, workshop))
    verdicts = [judge(goal, Results(runs)) for goal in goals]
    report = {
        "goals": [verdict.as_json() for verdict in verdicts],
        "runs": [run for rounds in runs.values() for run in rounds],
        "machine": _machine(workshop),
    }
    return verdicts, report


def _machine(workshop: Workshop) -> dict[str, Any]:
    server, loader = servers.cores()
    return {
        "cores": os.cpu_count(),
        "server_core": server,
        "loader_core": loader,
        "loader": Path(workshop.loader()[-1]).name,
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def run_once(spec: Spec, workshop: Workshop) -> Run:
    """One run; a server or loader that fails gives a run with `error` instead of figures."""
    facts = {"name": spec.name, "server": spec.server, "flush_ms": spec.flush_ms}
    try:
        if spec.server.startswith("micro-"):
            return facts | _micro(spec.server.removeprefix("micro-"))
        return facts | _load(spec, workshop)
    except (Missing, servers.Failed, subprocess.SubprocessError) as error:
        return facts | {"error": str(error)}


def _micro(what: str) -> Run:
    command = [sys.executable, "-m", "tests.bench.micro", what]
    process = servers.start(command, servers.cores()[0], stdout=-1, stderr=-1)
    try:
        out, err = process.communicate(timeout=MICRO_S)
    finally:
        process.kill()
    if process.returncode:
        raise servers.Failed(err.decode(errors="replace").strip()[-300:])
    return dict(json.loads(out))


def _load(spec: Spec, workshop: Workshop) -> Run:
    with servers.running(spec, workshop) as server:
        # The slow loader is the one that inflates.
        command = workshop.slow_loader() if spec.load.deflate else workshop.loader()
        command = [*command, *_arguments(spec.load, server)]
        watch = Watch(server.process.pid, server.port, spec.load.stalled)
        watch.before()
        loader = servers.start(command, servers.cores()[1], stdout=-1, stderr=-1)
        try:
            return _follow(loader, watch, spec.load)
        finally:
            loader.kill()
            loader.wait()


def _arguments(load: Load, server: servers.Server) -> list[str]:
    values: dict[str, Any] = {
        "port": server.port,
        "feed": server.feed,
        "pid": server.process.pid,
        "path": server.path,
        "origin": f"http://127.0.0.1:{server.port}",
        "cookie": server.cookie,
        **{n: getattr(load, n) for n in ("clients", "symbols", "rate", "stalled", "slow", "paces")},
        **{
            n: round(getattr(load, n) * 1000)
            for n in ("window", "warm", "drain", "ping", "timeout")
        },
        "storm": int(load.storm),
        **({"deflate": 1} if load.deflate else {}),
    }
    return [f"{name}={value}" for name, value in values.items() if value != ""]


def _follow(loader: subprocess.Popen[bytes], watch: Watch, load: Load) -> Run:
    """Samples memory while the loader runs; its result with what was sampled."""
    assert loader.stdout is not None
    assert loader.stderr is not None
    limit = load.timeout + load.warm + load.window + load.drain + SPARE_S
    deadline = time.monotonic() + limit
    words: list[str] = []
    while time.monotonic() < deadline:
        if select.select([loader.stderr], [], [], SAMPLE_S)[0]:
            line = loader.stderr.readline().decode(errors="replace").strip()
            if not line:
                break
            words.append(line)
            if line == "start":
                watch.start()
        watch.sample()
    else:
        raise servers.Failed(f"the loader was not done after {limit:.0f} s")
    out = loader.stdout.read()
    if loader.wait(timeout=SPARE_S):
        raise servers.Failed(f"loader: {words[-1] if words else loader.returncode}")
    told = {
        "stalled": load.stalled,
        "slow_n": load.slow,
        "symbols": load.symbols,
        "rate": load.rate,
    }
    return told | dict(json.loads(out)) | watch.result()


def table(verdicts: Sequence[Verdict], report: Report) -> str:
    """The goals, then the runs they were read from."""
    lines = [line for verdict in verdicts for line in verdict.lines()]
    lines += [
        "",
        f"{'run':<18}{'updates/CPU-s':>14}{'p50 ms':>9}{'p99 ms':>9}{'core':>8}"
        f"{'delivered':>11}{'loader':>8}",
    ]
    lines += [_run_line(run) for run in report["runs"] if "latency" in run or "error" in run]
    passed = sum(verdict.passed for verdict in verdicts)
    machine = report["machine"]
    lines += [
        "",
        f"{passed} of {len(verdicts)} goals pass ({machine['cores']} cores, "
        f"load {machine['load_average'][0]}, Python {machine['python']})",
    ]
    return "\n".join(lines)


def _run_line(run: Run) -> str:
    if "error" in run:
        return f"{run['name']:<18}{run['error'][:80]}"
    if not run["latency"]["n"]:
        return f"{run['name']:<18}{run['opened']} of {run['clients']} in {run['connect_s']:.2f} s"
    latency = run["latency"]
    return (
        f"{run['name']:<18}{figure(efficiency(run)):>14}"
        f"{latency['p50']:>9.2f}{latency['p99']:>9.2f}{run['cpu_s'] / run['window_s']:>8.1%}"
        f"{delivered(run):>11.1%}{run['loader_cpu_s'] / run['window_s']:>8.1%}"
    )
