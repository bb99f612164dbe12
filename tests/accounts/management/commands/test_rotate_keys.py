import io
import json

import pytest
from django.core.management import CommandError, call_command

from accounts import rotation
from accounts.models import ApiKey


def run(*words: object) -> dict[str, object]:
    out = io.StringIO()
    call_command("rotate_keys", *words, stdout=out)
    figures: dict[str, object] = json.loads(out.getvalue())
    return figures


def test_a_rotation_from_the_command_line(key):
    assert run("new") == {"step": "new", "version": 2}
    assert run("activate", 2)["version"] == 2
    moved = run("rewrap", "--sleep-ms", 0, "--batch", 10)
    assert moved == {"step": "rewrap", "moved": 1, "overtaken": 0, "broken": 0, "left": 0}
    assert run("verify") == {"step": "verify", "opened": 1, "broken": []}
    assert run("status")["keys_by_version"] == {"2": 1}
    assert run("retire", 1, "--keep-days", 0)["version"] == 1


def test_a_step_that_came_too_early_fails_and_says_why(key):
    with pytest.raises(CommandError, match="still needed"):
        run("retire", 1)


def test_a_broken_seal_fails_the_verification(key):
    ApiKey.objects.update(wrapped_dek=bytes(60))
    out = io.StringIO()
    with pytest.raises(CommandError, match="broken"):
        call_command("rotate_keys", "verify", stdout=out)
    assert json.loads(out.getvalue())["broken"] == [str(key.pk)]


def test_a_missing_key_fails_by_name(key, ring_file):
    ring_file.unlink()
    with pytest.raises(CommandError, match=str(ring_file)):
        run("status")


def test_the_defaults_of_the_command_are_those_of_the_module(key):
    rotation.activate(rotation.new())
    assert run("rewrap", "--sleep-ms", 0, "--limit", 0)["left"] == 1
