"""The gate runs every step, counts tests, and fails when anything failed."""

import sys
from xml.etree import ElementTree

import pytest

from bfxdash import gate
from bfxdash.gate import Step, clean_environment, is_setting, summarise

PASSES = [sys.executable, "-c", "print('fine')"]
FAILS = [sys.executable, "-c", "import sys; sys.exit('broken')"]
REPORT = '<testsuites><testsuite tests="9" failures="2" errors="1" skipped="1"/></testsuites>'


def ran(name: str, command: list[str]) -> Step:
    step = Step(name, command)
    step.run(show=False)
    return step


def test_step_that_passes_says_nothing(capsys):
    assert ran("fine", PASSES).passed
    assert capsys.readouterr().out == ""


def test_step_that_fails_shows_its_output(capsys):
    assert not ran("wrong", FAILS).passed
    assert capsys.readouterr().out == "\n--- wrong ---\nbroken\n\n"


def test_step_beside_others_says_how_it_ended(capsys):
    Step("wrong", FAILS).run_beside_others()
    assert capsys.readouterr().out.endswith("\nwrong: FAILED (0 s)\n")


def test_summary_names_what_failed_and_fails(capsys):
    assert summarise([ran("fine", PASSES), ran("wrong", FAILS)], 7.25) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "failed: wrong" in lines
    assert ["together", "7.2", "s"] in [line.split() for line in lines]
    assert lines[-1] == "0 passed, 0 failed, 0 skipped"


def test_summary_of_what_passed_passes(capsys):
    assert summarise([ran("fine", PASSES)], 1) == 0
    assert "every check is ok" in capsys.readouterr().out


def test_tests_are_counted_from_the_report(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    step = Step("tests", PASSES, report=tmp_path / "report.xml")
    assert step.counts() == {"passed": 5, "failed": 3, "skipped": 1}


def test_run_that_wrote_no_report_counts_as_a_failure(tmp_path):
    assert Step("tests", PASSES, report=tmp_path / "none.xml").counts() == {"failed": 1}


@pytest.mark.parametrize("name", ["BFX_EXCHANGE", "SECRET_KEY_FILE", "DATABASE_URL", "DEBUG"])
def test_settings_of_a_developer_do_not_reach_a_step(monkeypatch, name):
    monkeypatch.setenv(name, "mine")
    assert is_setting(name)
    assert name not in clean_environment()


@pytest.mark.parametrize("name", ["PATH", "HOME", "BFX_RECORDINGS", "BFX_BROWSER"])
def test_what_the_tests_themselves_need_stays(name):
    assert not is_setting(name)


def test_tests_run_on_both_profiles_and_in_a_browser_on_both():
    steps = {step.name: step for step in gate.testing_steps()}
    for profile in ("embedded", "scaled"):
        assert steps[f"tests, {profile}"].environ["BFX_TEST_PROFILE"] == profile
        assert steps[f"browser, {profile}"].environ["BFX_TEST_PROFILE"] == profile
        assert "tests/browser" in steps[f"browser, {profile}"].command
        assert "--ignore=tests/browser" in steps[f"tests, {profile}"].command


def test_full_sizes_come_on_top():
    assert not [step for step in gate.testing_steps() if "--full" in step.command]
    (step,) = gate.full_steps()
    assert "--full" in step.command


def test_reports_are_files_that_pytest_can_write():
    reports = [step.report for step in [*gate.testing_steps(), *gate.full_steps()]]
    assert len(set(reports)) == len(reports) == 5
    assert ElementTree.fromstring(REPORT).tag == "testsuites"


def test_compiled_files_are_shared_by_all_processes(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environ = clean_environment()
    assert environ["PYTHONPYCACHEPREFIX"] == str(gate.BYTECODE)
    assert "PYTHONDONTWRITEBYTECODE" not in environ


def test_core_modules_exist():
    for pattern in gate.CORE:
        assert list(gate.ROOT.glob(pattern)), pattern


def test_production_settings_are_checked_as_a_whole(tmp_path):
    steps = {step.name: step for step in gate.reading_steps(tmp_path)}
    assert gate.PRODUCTION.items() <= steps["production settings"].environ.items()
