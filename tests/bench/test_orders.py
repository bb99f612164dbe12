"""The order benchmark's arithmetic; its figures are for who runs it (`manage.py bench orders`)."""

import json
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from bfxdash.gate import clean_environment
from market.management.commands.bench import positive
from tests.bench.goals import Results, judge
from tests.bench.orders import GOALS, OURS, PEERS, Options, order_run, table, told
from tests.bench.peers.traders import outcome
from tests.bench.workshop import Missing
from tests.servers import ROOT

SEEN = {"placed": 6, "cancelled": 5, "nonce refused": 9, "seconds": 2.0}


def results(**changed):
    """What a perfect run of ours looks like, and any run of the peers."""
    cost = {f"{name}_ms": 4.0 for name in ("read", "bare_read", "place", "bare_place")}
    database = {"statements": 4, "transactions": 2}
    good = {"placed": 4, "cancelled": 4, "seconds": 1.0}
    runs = {}
    for name in OURS:
        runs[f"orders/{name}"] = order_run(Options(orders=4), good, 0)
        runs[f"cost/{name}"] = cost | {"read": database, "place": database}
        runs[f"wire/{name}"] = {"held": 0, "looks": 3}
        runs[f"limit/{name}"] = {"trips": 0, "sent_while_blocked": 0, "ok": 88}
    for name in PEERS:
        runs[f"orders/{name}"] = order_run(Options(orders=8), SEEN, 1)
        runs[f"limit/{name}"] = {"trips": 1, "sent_while_blocked": 500, "ok": 81}
    for name, facts in changed.items():
        runs[name.replace("__", "/").replace("_", "-")] |= facts
    return Results({name: [run] for name, run in runs.items()})


def passed(found):
    return {goal.id for goal in GOALS if judge(goal, found).passed}


def test_a_run_counts_refusals_among_all_calls():
    run = order_run(Options(processes=3, orders=15), SEEN, left_open=1)
    assert (run["placed"], run["refused"], run["left_open"]) == (6, 9, 1)
    assert run["refused_share"] == 9 / 20
    assert run["calls_a_second"] == 5.5


def test_ours_passes_whatever_the_peers_do():
    assert passed(results()) == {"O1", "O2", "O3", "O4", "O5"}


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({"orders__ours_sqlite": {"refused": 1}}, "O1"),
        ({"orders__ours_postgres": {"left_open": 1}}, "O1"),
        ({"limit__ours_sqlite": {"sent_while_blocked": 1}}, "O2"),
        ({"cost__ours_postgres": {"place_ms": 400.0}}, "O3"),
        ({"cost__ours_sqlite": {"read": {"statements": 9, "transactions": 3}}}, "O4"),
        ({"wire__ours_postgres": {"held": 1}}, "O5"),
        ({"wire__ours_postgres": {"looks": 0}}, "O5"),
    ],
)
def test_a_figure_beyond_its_floor_fails_its_goal(changed, failing):
    assert passed(results(**changed)) == {"O1", "O2", "O3", "O4", "O5"} - {failing}


def test_a_run_that_fails_says_why_and_does_not_pass():
    def broken(name):
        raise Missing("no PostgreSQL programs")

    run = told("orders")(broken)("ours-postgres")
    assert run == {"name": "orders/ours-postgres", "error": "no PostgreSQL programs"}
    assert "O1" not in passed(results(orders__ours_postgres=run))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('bitfinex ["error",10114,"nonce: small"]', "nonce refused"),
        ('{"error":"ERR_RATE_LIMIT"}', "limited"),
        ("Connection reset by peer", "failed"),
    ],
)
def test_what_a_peer_raises_is_told_apart(text, kind):
    assert outcome(RuntimeError(text)) == kind


def test_the_table_has_every_goal_and_run():
    verdicts = [judge(goal, results()) for goal in GOALS]
    run = {"name": "orders/ccxt", **order_run(Options(), SEEN, 1)}
    machine = {"cores": 2, "load_average": [0.5], "python": "3.11"}
    text = table(verdicts, {"runs": [run], "machine": machine})
    assert "O1  no caller meets a refused nonce" in text
    assert "orders/ccxt" in text
    assert text.endswith("5 of 5 goals pass (2 cores, load 0.5, Python 3.11)")


def test_sizes_are_above_zero():
    with pytest.raises((ValueError, ArgumentTypeError)):
        positive(int)("0")
    assert positive(float)("2.5") == 2.5


@pytest.mark.full
def test_the_command_measures_ours_and_the_peers_in_one_run(tmp_path: Path):
    words = "bench orders --processes 2 --keys 1 --orders 6 --latency 5 --json"
    done = subprocess.run(
        [sys.executable, "manage.py", *words.split()],
        cwd=ROOT,
        env=clean_environment() | {"BFX_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    report = json.loads(done.stdout)
    print(json.dumps(report))
    assert [goal["id"] for goal in report["goals"]] == ["O1", "O2", "O3", "O4", "O5"]
    assert all(goal["pass"] for goal in report["goals"] if goal["id"] != "O3")
    assert not any("error" in run for run in report["runs"])
    assert {run["name"] for run in report["runs"]} >= {f"orders/{name}" for name in PEERS}
