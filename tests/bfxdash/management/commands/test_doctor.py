"""What the doctor finds, and what he calls broken."""

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from accounts import restore_guard, revoked_log, rotation
from bfxdash.management.commands import doctor
from market import lease
from market.client import RestClient
from market.conf import exchange
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def exchange_works(data_dir: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.LOOKS, "exchange", lambda: ("ok", "here"))
    if connection.vendor == "sqlite":
        Path(str(connection.settings_dict["NAME"])).chmod(0o600)


def found() -> tuple[int, dict[str, tuple[str, str]]]:
    """Exit status; state and detail of each part."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert said["ok"] == (ended.value.code == 0)
    parts = {each["part"]: (each["state"], each["detail"]) for each in said["parts"]}
    return int(ended.value.code or 0), parts


def test_all_is_well_before_anything_runs():
    status, parts = found()
    assert status == 0, parts
    assert parts["feed"] == ("warning", "nothing runs")


def test_every_part_has_a_line_for_people():
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)
    assert len(out.getvalue().splitlines()) == len(doctor.LOOKS)


def test_a_feed_that_nobody_runs_is_broken_once_pages_are_served():
    rotation.report_ring("host:7")
    status, parts = found()
    assert (status, parts["feed"][0]) == (1, "broken")
    lease.hold(0, "feeder", 30)
    assert found()[1]["feed"][0] == "ok"


def test_an_unsafe_setting_is_named(settings):
    settings.ALLOWED_HOSTS = ["*"]
    status, parts = found()
    assert status == 1
    assert "ALLOWED_HOSTS" in parts["settings"][1]


def test_a_master_key_that_is_gone_is_broken(alice, data_dir):
    restore_guard.note_backup("x")  # the first event makes the installation's keys
    (data_dir / "keys" / "master_key").unlink()
    assert found()[1]["master key"][0] == "broken"


def test_a_database_from_a_backup_is_told():
    revoked_log.raise_epoch(9)
    assert "came from a backup" in found()[1]["restore guard"][1]


def test_a_clock_before_this_program_existed_is_broken(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    assert found()[1]["clock"][0] == "broken"


def test_an_exchange_out_of_reach_is_broken(monkeypatch, settings):
    nobody = f"http://127.0.0.1:{free_port()}"
    settings.BFX_PUBLIC_REST_URL = nobody
    monkeypatch.setattr(doctor, "client", lambda: RestClient(exchange()))
    monkeypatch.setitem(doctor.LOOKS, "exchange", doctor.look_at_exchange)
    started = time.monotonic()
    state, detail = found()[1]["exchange"]
    assert state == "broken"
    assert detail.startswith(f"{nobody}: ")
    assert time.monotonic() - started < 30
