import io
import json

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ApiKey, AuditEvent, HaltLevel


def run(*words: object, **options: object) -> dict[str, object]:
    out = io.StringIO()
    call_command("halt", *words, stdout=out, **options)
    figures: dict[str, object] = json.loads(out.getvalue())
    return figures


def level(key: ApiKey) -> int:
    return ApiKey.objects.get(pk=key.pk).halt


def test_g07_the_host_halts_orders_and_releases_them(key):
    assert run("orders", "--reason", "strange prices") == {"halt": "orders", "keys": 1}
    assert level(key) == HaltLevel.ORDERS
    assert run("status") == {"halts": {"site": "orders"}}
    run("none", "--reason", "all is well")
    assert (level(key), run("status")) == (HaltLevel.NONE, {"halts": {}})


def test_one_user_or_one_key_may_be_halted(alice, bob, add_key):
    mine, other, his = add_key(alice), add_key(alice), add_key(bob)
    run("orders", "--user", "alice", "--reason", "test")
    run("signing", "--key", mine.pk, "--reason", "test")
    assert [level(key) for key in (mine, other, his)] == [2, 1, 0]


def test_a_wipe_asks_first(key, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: "no")
    with pytest.raises(CommandError, match="nothing was done"):
        run("wipe", "--reason", "test")
    assert not ApiKey.objects.get().is_revoked
    monkeypatch.setattr("builtins.input", lambda question: "WIPE")
    assert run("wipe", "--reason", "test") == {"revoked": 1}
    assert ApiKey.objects.get().is_revoked


def test_a_wipe_may_be_of_one_key_or_one_user(alice, bob, add_key):
    mine, his = add_key(alice), add_key(bob)
    assert run("wipe", "--key", mine.pk, "--yes", "--reason", "test") == {"revoked": 1}
    assert run("wipe", "--user", "bob", "--yes", "--reason", "test") == {"revoked": 1}
    assert ApiKey.objects.get(pk=his.pk).is_revoked


def test_a_reason_is_asked_for_and_kept(key):
    with pytest.raises(CommandError, match="--reason"):
        run("orders")
    run("orders", "--reason", "the night of the outage")
    event = AuditEvent.objects.get(tag="halt.set")
    assert (event.actor, "the night of the outage" in event.data) == (None, True)


@pytest.mark.parametrize("words", [["--user", "nobody"], ["--key", "x"], ["--key", "0" * 32]])
def test_whom_it_does_not_know_it_names(db, words):
    with pytest.raises(CommandError, match=f"there is no '{words[1]}'"):
        run("orders", "--reason", "test", *words)
