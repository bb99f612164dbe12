import json

import pytest

from tests.bench.goals import Floor, Goal, Measure, NotMeasured, Results, figure, judge

FAST = {"updates": 900, "cpu_s": 1.0}
SLOW = {"updates": 100, "cpu_s": 1.0}


def efficiency(run):
    return run["updates"] / run["cpu_s"]


def ratio(results):
    return results.median("ours", efficiency) / results.median("stock", efficiency)


def goal(*measures):
    return Goal("P0", "updates per CPU-second", ("ours", "stock"), measures)


def test_a_figure_of_several_rounds_is_their_median():
    rounds = [FAST, SLOW, {"updates": 500, "cpu_s": 1.0}]
    assert Results({"ours": rounds}).median("ours", efficiency) == 500


def test_a_round_that_failed_does_not_count():
    results = Results({"ours": [{"error": "did not start"}, FAST]})
    assert results.median("ours", efficiency) == results.largest("ours", efficiency) == 900


def test_a_run_that_always_failed_is_not_measured_and_says_why():
    with pytest.raises(NotMeasured, match="did not start"):
        Results({"ours": [{"error": "did not start"}]}).median("ours", efficiency)


def test_a_speed_is_that_of_the_best_round():
    assert Results({"ours": [SLOW, FAST, {"error": "killed"}]}).largest("ours", efficiency) == 900
    with pytest.raises(NotMeasured):
        Results({}).largest("ours", efficiency)


def test_one_bad_round_breaks_a_promise():
    assert Results({"ours": [FAST, SLOW]}).largest("ours", lambda run: run["updates"]) == 900


@pytest.mark.parametrize(
    ("floor", "passes"),
    [
        (Floor(at_least=9), True),
        (Floor(at_least=9.1), False),
        (Floor(at_most=9), True),
        (Floor(at_most=8.9), False),
        (Floor(at_least=8, at_most=10), True),
    ],
)
def test_a_goal_passes_when_its_floor_holds(floor, passes):
    results = Results({"ours": [FAST], "stock": [SLOW]})
    assert judge(goal(Measure("ours / stock", ratio, floor)), results).passed is passes


def test_what_was_not_measured_did_not_pass():
    verdict = judge(goal(Measure("ours / stock", ratio, Floor(1))), Results({"ours": [FAST]}))
    assert verdict.ratios == {"ours / stock": None}
    assert not verdict.passed
    assert verdict.reasons == ["stock: not run"]
    assert "not measured" in "\n".join(verdict.lines())


def test_a_server_that_used_no_cpu_was_not_measured():
    results = Results({"ours": [FAST], "stock": [{"updates": 0, "cpu_s": 1.0}]})
    assert judge(goal(Measure("ours / stock", ratio, Floor(1))), results).ratios == {
        "ours / stock": None
    }


def test_a_measure_without_a_floor_cannot_fail():
    assert judge(goal(Measure("ours / stock", ratio)), Results({})).passed


def test_the_json_has_ratios_floors_and_the_verdict():
    results = Results({"ours": [FAST], "stock": [SLOW]})
    measures = Measure("ours / stock", ratio, Floor(at_least=10)), Measure("again", ratio)
    assert json.loads(json.dumps(judge(goal(*measures), results).as_json())) == {
        "id": "P0",
        "what": "updates per CPU-second",
        "ratios": {"ours / stock": 9.0, "again": 9.0},
        "floor": {"ours / stock": {"at_least": 10}},
        "pass": False,
    }


def test_the_table_points_at_what_is_below_its_floor():
    results = Results({"ours": [FAST], "stock": [SLOW]})
    lines = judge(goal(Measure("ours / stock", ratio, Floor(at_least=10))), results).lines()
    assert lines[0].endswith("FAIL")
    assert lines[1].split() == ["ours", "/", "stock", "9", ">=", "10", "<--"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0312, "0.0312"), (16.84, "16.8"), (433.2, "433"), (1.4e6, "1 400 000")]
)
def test_figures_have_three_digits(value, text):
    assert figure(value) == text
