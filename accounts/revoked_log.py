"""What outlives the database: how far it had come, and which keys were revoked.

Two files beside the master key, so that a database from a backup is recognised, and a revoked key
in it is wiped again: `epoch`, a number that only rises, and `revoked.log`, one fingerprint a line,
only ever appended to. Neither holds a secret. Each machine has its own, and every process of the
machine writes them under one lock.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from accounts import master_key


def folder() -> Path:
    return Path(settings.MASTER_KEY_MADE.parent)


def epoch() -> int:
    """The highest epoch that this machine has seen, 0 before the first."""
    try:
        return int((folder() / "epoch").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def raise_epoch(number: int) -> None:
    """Never lowers it."""
    with _one_at_a_time():
        if number > epoch():
            master_key.write(folder() / "epoch", f"{number}\n", replace=True)


def revoked() -> set[str]:
    """The fingerprints of every key that this machine knows to be revoked."""
    try:
        return set((folder() / "revoked.log").read_text().split())
    except FileNotFoundError:
        return set()


def note_revoked(fingerprints: Iterable[str]) -> int:
    """Appends what is not yet there, and returns how many that were."""
    with _one_at_a_time():
        fresh = sorted(set(fingerprints) - revoked())
        if fresh:
            _append("".join(f"{each}\n" for each in fresh))
    return len(fresh)


def _append(text: str) -> None:
    """On the disk when it returns. After a crash in the middle of a line a new line begins."""
    path = folder() / "revoked.log"
    whole = not path.exists() or not path.stat().st_size or path.read_bytes().endswith(b"\n")
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text if whole else f"\n{text}")
        file.flush()
        os.fsync(file.fileno())
    master_key.sync_folder(folder())


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder() / "revoked.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
