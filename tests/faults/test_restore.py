"""Backup, revoke, restore, start: no revoked key comes back, and no other one signs unasked.

On SQLite and PostgreSQL, with the real commands.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.faults.installations import Installation, installation

__all__ = ["installation"]

RESTORED = "tests.faults.restored"
ARMED = {"state": "usable", "armed": True, "revoked": False, "sealed": True}
WAITING = {"state": "quarantined", "armed": False, "revoked": False, "sealed": True}


@pytest.fixture
def filled(installation: Installation) -> Installation:
    """Two armed keys, and the database's own client programs on PATH."""
    path = os.pathsep.join([str(servers.postgres_binaries()), os.environ["PATH"]])
    installation.environ |= {"PATH": path, "LOG_JSON": "on"}
    Path(installation.environ["BFX_DATA_DIR"]).chmod(0o700)
    assert installation.ask(RESTORED, "fill") == {"kept": ARMED, "leaked": ARMED}
    return installation


def backup(installation: Installation, *words: object) -> Path:
    return Path(installation.ask("django", "backup", *words)["backup"])


def refused(installation: Installation, *words: object) -> str:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        installation.ask("django", *words)
    return str(caught.value.stderr)


def assert_safe(keys: dict[str, Any]) -> None:
    assert keys["kept"] == WAITING
    assert keys["leaked"]["revoked"]
    assert not keys["leaked"]["sealed"]


def start(installation: Installation) -> servers.Child:
    """The web server, until it listens."""
    installation.run("django", "collectstatic", "--no-input", "-v0")
    log = Path(installation.environ["BFX_DATA_DIR"]) / "serve.log"
    command = [sys.executable, "-m", "django", "serve", "--port", "0"]
    child = servers.Child(command, log, environ=installation.environ, forked=True)
    child.wait_until(lambda: "serving http://" in child.log)
    return child


def test_a_restored_database_revives_no_key(filled):
    copy = backup(filled)
    filled.ask(RESTORED, "revoke")
    said = filled.ask("django", "restore", copy, "--yes")
    assert (said["guard"], said["wiped"], said["waiting"]) == ("done", 1, 1)
    assert_safe(filled.ask(RESTORED, "show"))
    assert filled.ask(RESTORED, "sign") == {"kept": "KeyNotReady", "leaked": "KeyRevoked"}


def test_a_database_put_back_by_other_means_is_noticed_at_the_start(filled):
    copy = backup(filled)
    filled.ask(RESTORED, "revoke")
    assert filled.ask(RESTORED, "put-back", copy) == {"kept": ARMED, "leaked": ARMED}
    web = start(filled)
    assert_safe(filled.ask(RESTORED, "show"))
    assert "database restored from a backup" in web.log
    web.wait_until(lambda: filled.ask("django", "rotate_keys", "status")["processes"])
    assert "stop these first" in refused(filled, "restore", copy, "--yes")
    assert web.stop() == 0
    assert filled.ask("django", "restore", copy, "--yes")["guard"] == "done"
