from dataclasses import replace

import pytest

from tests.bench.catalog import QUICK, STALLED, Load
from tests.bench.fanout import Options, changed, chosen_goals, chosen_specs, table
from tests.bench.goals import Floor, Goal, Measure, Results, judge


def names(options):
    return {spec.name for spec in chosen_specs(options, chosen_goals(options))}


def test_without_options_the_quick_goals_are_run():
    assert tuple(goal.id for goal in chosen_goals(Options())) == QUICK
    assert "P6/half" not in names(Options())


def test_full_runs_everything_also_what_is_only_there_to_be_read():
    assert {"P6/half", "S2/picows", "P13/hop"} <= names(Options(full=True))


def test_one_goal_runs_only_what_it_needs():
    assert names(Options(only=("P7",))) == {"P7/ours", "P7/ws"}


def test_an_unknown_goal_is_refused_by_name():
    with pytest.raises(ValueError, match="P99"):
        chosen_goals(Options(only=("P1", "P99")))


def test_the_callers_values_replace_those_of_the_load():
    load = changed(Load(clients=50, rate=20), Options(clients=8, symbols=3, rate=5, seconds=0.5))
    assert (load.clients, load.symbols, load.rate, load.window) == (8, 3, 5, 0.5)


def test_stalled_readers_keep_their_share_of_the_clients():
    half = replace(STALLED, stalled=STALLED.clients // 2)
    assert changed(half, Options(clients=100)).stalled == 50


def test_a_run_without_ticks_stays_without_them():
    assert changed(Load(rate=0), Options(rate=100)).rate == 0


def test_the_table_shows_goals_runs_and_failures():
    goal = Goal("P0", "anything", (), (Measure("one", lambda _: 1.0, Floor(at_least=1)),))
    latency = {"n": 1, "p50": 0.5, "p99": 1.5}
    run = {
        "name": "S1/ours",
        "updates": 90,
        "cpu_s": 0.1,
        "window_s": 1.0,
        "loader_cpu_s": 0.01,
    }
    run |= {"ticks": 10, "clients": 9, "stalled": 0, "slow_n": 0, "latency": latency}
    report = {
        "runs": [run, {"name": "S1/stock", "error": "did not start"}],
        "machine": {"cores": 2, "load_average": [0.5], "python": "3.11"},
    }
    text = table([judge(goal, Results({}))], report)
    assert "P0  anything" in text
    assert "1 of 1 goals pass" in text
    assert "did not start" in text
    assert text.splitlines()[4].split() == [
        "S1/ours",
        "900",
        "0.50",
        "1.50",
        "10.0%",
        "100.0%",
        "1.0%",
    ]
