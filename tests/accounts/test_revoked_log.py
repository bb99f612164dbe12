"""Two small files that outlive the database."""

import stat
from multiprocessing import get_context

from accounts import revoked_log


def test_before_the_first_start_nothing_is_known():
    assert revoked_log.epoch() == 0
    assert revoked_log.revoked() == set()


def test_the_epoch_only_rises():
    revoked_log.raise_epoch(7)
    revoked_log.raise_epoch(3)
    assert revoked_log.epoch() == 7


def test_a_fingerprint_is_appended_once():
    assert revoked_log.note_revoked(["b", "a"]) == 2
    assert revoked_log.note_revoked(["a", "c"]) == 1
    assert (revoked_log.folder() / "revoked.log").read_text() == "a\nb\nc\n"


def test_half_a_line_of_a_crash_spoils_nothing_after_it():
    revoked_log.note_revoked(["whole"])
    with (revoked_log.folder() / "revoked.log").open("a") as file:
        file.write("hal")
    revoked_log.note_revoked(["next"])
    assert revoked_log.revoked() == {"whole", "hal", "next"}


def test_nobody_else_can_read_them():
    revoked_log.note_revoked(["a"])
    revoked_log.raise_epoch(1)
    for file in revoked_log.folder().iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_many_processes_lose_no_line():
    with get_context("fork").Pool(4) as pool:
        pool.map(_note, range(40))
    assert revoked_log.revoked() == {f"print-{number}" for number in range(40)}
    assert revoked_log.epoch() == 39


def _note(number: int) -> None:
    revoked_log.note_revoked([f"print-{number}"])
    revoked_log.raise_epoch(number)
