"""`manage.py bench` as its users run it, at the smallest size. No figure is asserted that depends
on the machine."""

import json
import subprocess
import sys

from bfxdash.gate import clean_environment
from tests.servers import ROOT


def bench(folder, *options):
    return subprocess.run(
        [sys.executable, "manage.py", "bench", "fanout", *options],
        cwd=ROOT,
        env=clean_environment() | {"BFX_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_goal_that_does_not_exist_is_named(tmp_path):
    done = bench(tmp_path, "--only", "P1,P99")
    assert done.returncode == 1
    assert "no goal P99" in done.stderr


def test_the_json_tells_goals_and_runs_and_the_status_whether_all_passed(tmp_path):
    done = bench(tmp_path, "--only", "p8", "--seconds", "1", "--json")
    report = json.loads(done.stdout)
    (goal,) = report["goals"]
    assert goal["id"] == "P8"
    assert set(goal["floor"]) <= set(goal["ratios"])
    assert done.returncode == (0 if goal["pass"] else 1)
    assert goal["ratios"]["malformed frames"] == goal["ratios"]["rows that went back in time"] == 0
    (run,) = report["runs"]
    assert (run["name"], run["opened"], run["unconverged"]) == ("P8/ours", 9, 0)
    assert run["updates"] > 0
