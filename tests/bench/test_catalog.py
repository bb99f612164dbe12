import pytest

from tests.bench.catalog import GOALS, INTERVAL_MS, QUICK, delivered, slow_share_of_bound, specs
from tests.bench.goals import NotMeasured, Results
from tests.bench.servers import COMMANDS


def run(**figures):
    return {"name": "x", "stalled": 0, "slow_n": 0, "symbols": 100, **figures}


def test_every_goal_of_the_list_is_there_once():
    assert [goal.id for goal in GOALS] == [f"P{n}" for n in range(1, 14)]
    assert set(QUICK) == {"P1", "P2", "P3", "P4", "P8", "P10"}


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.id)
def test_a_goal_reads_no_run_that_it_does_not_ask_for(goal):
    known = {spec.name for spec in specs(full=True)}
    assert set(goal.needs) <= known
    for measure in goal.measures:
        with pytest.raises(NotMeasured) as missing:
            measure.value(Results({}))
        assert str(missing.value).split(":")[0] in goal.needs


def test_every_run_has_a_server_and_a_name_of_its_own():
    plan = specs(full=True)
    assert len({spec.name for spec in plan}) == len(plan)
    assert all(spec.server in COMMANDS or spec.server.startswith("micro-") for spec in plan)


def test_no_symbol_ticks_twice_in_an_interval():
    """Else conflation would leave out ticks, and the share delivered would say nothing."""
    for spec in specs(full=True):
        assert not spec.flush_ms or spec.load.rate * INTERVAL_MS / 1000 <= spec.load.symbols


def test_the_share_delivered_leaves_out_readers_that_cannot_get_all():
    assert delivered(run(updates=90, ticks=10, clients=12, stalled=2, slow_n=1)) == 1


def test_a_slow_reader_is_judged_by_what_its_line_can_carry():
    fast_line = {"pace": 60_000, "converged_ms": 400.0}
    slow_line = {"pace": 8_000, "converged_ms": 3_100.0}
    assert slow_share_of_bound(run(slow=[fast_line, slow_line])) < 1
    assert slow_share_of_bound(run(slow=[{"pace": 60_000, "converged_ms": 3_100.0}])) > 1


def test_a_slow_reader_that_never_converged_fails():
    with pytest.raises(NotMeasured, match="never got there"):
        slow_share_of_bound(run(slow=[{"pace": 8_000, "converged_ms": -1.0}]))
