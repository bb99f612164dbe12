"""G4: the master key is rotated under readers and a revoker, and the rotation is killed."""

import json
import random
import signal
import time

import pytest

from tests.faults.installations import Installation, installation
from tests.installation import Process

__all__ = ["installation"]

RACE = "tests.faults.rotation_race"
READERS = 2


def rotate_keys(installation: Installation, *words: object) -> dict[str, int]:
    figures: dict[str, int] = installation.ask("django", "rotate_keys", *words, seconds=300)
    return figures


def ask(process: Process) -> int:
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def figures_of(process: Process) -> dict[str, list[str]]:
    """Ends its standard input; returns what it counted."""
    out, _ = process.communicate(timeout=60)
    found: dict[str, list[str]] = json.loads(out.splitlines()[-1])
    return found


def kill_once(installation: Installation, counter: Process, batch: int) -> int:
    """Starts a rewrap and kills it once it has moved something. Returns what is left."""
    before = ask(counter)
    rewrap = installation.start("django", "rotate_keys", "rewrap", "--batch", batch)
    while rewrap.poll() is None and ask(counter) > before - batch:
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.1))
    rewrap.kill()
    assert rewrap.wait(30) == -signal.SIGKILL, "it had ended before it was killed"
    return ask(counter)


def race(installation: Installation, rows: int, kills: int, batch: int) -> None:
    installation.ask(RACE, "seed", rows, seconds=300)
    assert rotate_keys(installation, "new")["version"] == 2
    at_work = [installation.start(RACE, "read") for _ in range(READERS)]
    at_work.append(installation.start(RACE, "revoke"))
    for process in at_work:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    counter, started = installation.start(RACE, "left"), time.monotonic()
    rotate_keys(installation, "activate", 2)
    left = [kill_once(installation, counter, batch) for _ in range(kills)]
    rotate_keys(installation, "rewrap", "--batch", batch)
    seconds = time.monotonic() - started
    *readers, revoker = (figures_of(process) for process in at_work)
    counter.communicate(timeout=30)
    judged = installation.ask(RACE, "judge", json.dumps(revoker["revoked"]), seconds=300)
    told = [{**reader, "bad": len(reader["bad"])} for reader in readers]
    shown = {"rows": rows, "kills": kills, "seconds": round(seconds, 1), "left_after_kills": left}
    print(json.dumps({**shown, "readers": told, **judged}))
    assert [bad for reader in readers for bad in reader["bad"]] == []
    assert judged["opened"] + judged["revoked"] == rows
    assert judged["revoked"] == len(revoker["revoked"]) > 0
    assert not judged["revived"] + judged["on_the_old_version"]
    assert (judged["broken"], judged["audit_broken_at"]) == ([], None)
    assert all(reader["reads"] for reader in readers)


def test_g04_a_killed_rotation_goes_on(installation):
    race(installation, rows=400, kills=2, batch=10)


@pytest.mark.full
def test_g04_twenty_thousand_keys_and_twenty_kills(installation):
    race(installation, rows=20_000, kills=20, batch=100)
