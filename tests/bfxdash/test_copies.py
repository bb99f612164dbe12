"""Copies, and putting one back. With real processes: tests/faults/test_restore.py."""

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import rotation
from accounts.models import AuditEvent, Halt
from bfxdash import copies
from market import lease

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def home(data_dir: Path) -> Path:
    return data_dir


def run(*words: object) -> dict[str, Any]:
    out = io.StringIO()
    call_command(*map(str, words), stdout=out)
    said: dict[str, Any] = json.loads(out.getvalue())
    return said


def scopes() -> set[str]:
    return set(Halt.objects.values_list("scope", flat=True))


def test_a_copy_put_back_replaces_everything_and_what_was_there_is_kept():
    Halt.objects.create(scope="before")
    copy = run("backup")["backup"]
    Halt.objects.create(scope="after")
    former = run("restore", copy, "--yes")["former"]
    assert scopes() == {"before"}
    copies.put_back(Path(former))
    assert scopes() == {"before", "after"}


def test_its_return_is_noticed_without_any_revocation(alice):
    copy = run("backup")["backup"]
    assert run("restore", copy, "--yes")["guard"] == "done"


def test_a_copy_is_for_its_owner_only_and_leaves_an_event(home):
    copy = Path(run("backup")["backup"])
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert sorted(copy.parent.iterdir()) == [copy]
    assert AuditEvent.objects.get().tag == "database.backed_up"


def test_a_folder_gets_a_file_named_by_the_time(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    assert Path(run("backup", folder)["backup"]).parent == folder


@pytest.mark.parametrize("target", ["keys", "keys/x", "db/../keys/deep/x"])
def test_a_copy_never_goes_where_the_keys_are(home, target):
    with pytest.raises(CommandError, match="lies where the keys are"):
        run("backup", home / target)


def test_a_copy_replaces_no_file(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(CommandError, match="is there already"):
        run("backup", tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("content", [None, b"{}", b"SQLite format 3\0", b"PGDMP"])
def test_what_is_no_whole_copy_of_ours_is_refused(tmp_path, content):
    file = tmp_path / "wrong"
    if content is not None:
        file.write_bytes(content)
    Halt.objects.create(scope="kept")
    with pytest.raises(CommandError):
        run("restore", file, "--yes")
    assert scopes() == {"kept"}


def test_a_harmed_copy_is_refused(profile):
    copy = Path(run("backup")["backup"])
    copy.write_bytes(copy.read_bytes()[: 5000 if profile == "embedded" else 300])
    with pytest.raises(CommandError):
        run("restore", copy, "--yes")


def test_a_restore_is_refused_while_anything_runs():
    copy = run("backup")["backup"]
    rotation.report_ring("host:7")
    lease.hold(0, "feeder", 30)
    with pytest.raises(CommandError, match="web host:7, feed feeder"):
        run("restore", copy, "--yes")


def test_a_restore_asks_first(monkeypatch):
    copy = run("backup")["backup"]
    monkeypatch.setattr("builtins.input", lambda question: "no")
    with pytest.raises(CommandError, match="nothing was done"):
        run("restore", copy)


def test_missing_client_programs_are_named(monkeypatch, profile):
    if profile == "embedded":
        pytest.skip("SQLite needs none")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandError, match="pg_dump is not on PATH"):
        run("backup")


def test_the_name_of_a_copy_tells_its_time(home):
    now = timezone.now()
    assert copies.choose(None, now).name.startswith(f"bfxdash-{now:%Y%m%d-%H%M%S}.")
