"""Who holds a lease, and whether he can still be alive."""

import os
import subprocess
import sys

import pytest

from market.feed.holder import holder_name, is_gone


def named(process: object) -> str:
    return holder_name().replace(f":{os.getpid()}:", f":{process}:")


def test_each_feed_has_a_name_of_its_own_that_fits_the_column() -> None:
    assert holder_name() != holder_name()
    assert len(holder_name()) <= 80


def test_a_living_process_is_not_gone() -> None:
    assert not is_gone(holder_name())
    assert not is_gone(named(1))


def test_a_dead_process_is_gone() -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    assert is_gone(named(dead.pid))


@pytest.mark.parametrize(
    "name",
    ["", "x", "elsewhere:1:ab", named("x"), named(10**30)],
    ids=["empty", "a word", "another machine", "no number", "no such number"],
)
def test_a_process_that_cannot_be_seen_may_always_live(name: str) -> None:
    assert not is_gone(name)
