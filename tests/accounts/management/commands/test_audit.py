import io
import json

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEvent, AuditHead


def run(*words: object) -> str:
    out = io.StringIO()
    call_command("audit", *words, stdout=out)
    return out.getvalue()


def test_a_whole_chain_is_verified(key):
    verdict = json.loads(run("verify"))
    assert (verdict["events"], verdict["broken"]) == (2, None)
    assert verdict["head"] == AuditHead.objects.get().mac


def test_g17_a_broken_chain_fails(key):
    AuditHead.objects.update(mac="0" * 64)
    with pytest.raises(CommandError, match="event 3: the end of the chain is missing"):
        run("verify")
    with pytest.raises(CommandError, match="end of the chain"):
        run("export")


def test_an_export_is_its_own_last_event(key, tmp_path):
    lines = [json.loads(line) for line in run("export").splitlines()]
    assert [line["tag"] for line in lines] == ["key.added", "key.verified", "audit.exported"]
    path = tmp_path / "trail.csv"
    run("export", "--format", "csv", "--out", str(path))
    assert len(path.read_text().splitlines()) == 1 + AuditEvent.objects.count()


def test_an_export_overwrites_nothing(key, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FileExistsError):
        run("export", "--out", str(tmp_path / "mine"))
