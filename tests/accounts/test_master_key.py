"""The master key's file: what is refused, how it is made, how a version is added."""

import base64
import hashlib
import os
import secrets
import stat
import threading

import pytest

from accounts import master_key
from accounts.errors import MasterKeyError

GOOD = bytes(range(50, 82))


def line(key: bytes, version: int = 1) -> str:
    return f"v{version}:{base64.b64encode(key).decode()}\n"


def test_a_ring_is_one_line_a_version(ring_file):
    ring_file.write_text(line(GOOD) + "\n  " + line(GOOD[::-1], 2))
    ring = master_key.ring()
    assert ring.versions == {1: GOOD, 2: GOOD[::-1]}
    assert ring.newest == 2
    assert ring.source == str(ring_file)


def test_a_ring_does_not_print_its_keys(ring_file):
    ring_file.write_text(line(b"CANARY-CANARY-CANARY-0123456789a"))
    assert "CANARY" not in repr(master_key.ring())


BAD = {
    "empty": ("", "it is empty"),
    "no version": (base64.b64encode(GOOD).decode(), "not of the form"),
    "odd version": ("vx:AAAA", "not of the form"),
    "version 0": (line(GOOD, 0), "twice or is no version"),
    "version twice": (line(GOOD) * 2, "twice"),
    "not base64": ("v1:***", "not base64"),
    "too short": (line(GOOD[:31]), "31 bytes"),
    "too long": (line(GOOD + b"x"), "33 bytes"),
    "zeros": (line(bytes(32)), "not random"),
    "15 bytes": (line(bytes(range(15)) * 2 + b"\0\0"), "not random"),
    "example": (line(bytes(range(32))), "example"),
}


@pytest.mark.parametrize("case", BAD)
def test_g03_a_bad_ring_is_refused_and_its_file_named(ring_file, case):
    text, problem = BAD[case]
    ring_file.write_text(text)
    with pytest.raises(MasterKeyError, match=problem) as caught:
        master_key.ring()
    assert caught.value.source == str(ring_file)


@pytest.mark.parametrize(
    "made", [lambda text: text[:32], lambda text: hashlib.sha256(text).digest()]
)
def test_g03_a_key_derived_from_the_secret_key_is_refused(ring_file, settings, made):
    settings.SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyz-and-more-of-it"
    ring_file.write_text(line(made(settings.SECRET_KEY.encode())))
    with pytest.raises(MasterKeyError, match="SECRET_KEY"):
        master_key.ring()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_g03_a_file_that_others_can_read_is_refused_at_once(ring_file, mode):
    master_key.ring()  # was fine before, and is remembered
    ring_file.chmod(mode)
    with pytest.raises(MasterKeyError, match=f"mode {mode:o}"):
        master_key.ring()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_g03_a_file_of_another_user_is_refused(ring_file):
    os.chown(ring_file, 65534, 65534)
    with pytest.raises(MasterKeyError, match="another user"):
        master_key.ring()


def test_g03_a_missing_file_is_named(settings, tmp_path):
    settings.BFX_MASTER_KEY_FILE = tmp_path / "elsewhere"
    with pytest.raises(MasterKeyError, match=r"elsewhere: cannot be read"):
        master_key.ring()


def test_the_variable_is_a_ring_too(settings):
    settings.BFX_MASTER_KEY = line(GOOD, 3)
    assert master_key.ring().versions == {3: GOOD}
    assert not master_key.is_missing()
    with pytest.raises(MasterKeyError, match="use a file"):
        master_key.append()


def test_a_changed_file_is_read_again(ring_file):
    before = master_key.ring()
    assert master_key.append() == 2
    after = master_key.ring()
    assert after.versions[1] == before.versions[1]
    assert len(after.versions[2]) == 32
    master_key.remove(1)
    assert set(master_key.ring().versions) == {2}


def test_a_made_key_is_random_and_private(ring_file):
    ring_file.unlink()
    ring_file.parent.rmdir()
    assert master_key.may_be_made()
    master_key.make()
    assert stat.S_IMODE(ring_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(ring_file.parent.stat().st_mode) == 0o700
    assert os.listdir(ring_file.parent) == [ring_file.name]
    assert not master_key.weakness(master_key.ring().versions[1])


def test_a_key_is_never_made_over_another(ring_file):
    before = ring_file.read_text()
    master_key.make()
    assert ring_file.read_text() == before
    assert os.listdir(ring_file.parent) == [ring_file.name]


def test_many_first_starts_make_one_key(ring_file):
    ring_file.unlink()
    found = []

    def start() -> None:
        master_key.make()
        found.append(master_key.ring())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({ring.versions[1] for ring in found}) == 1


def test_a_place_that_somebody_named_is_never_filled(settings, tmp_path):
    settings.BFX_MASTER_KEY_FILE = tmp_path / "named"
    assert master_key.is_missing()
    assert not master_key.may_be_made()


def test_derived_keys_differ_by_label_and_key():
    one, two = secrets.token_bytes(32), secrets.token_bytes(32)
    labels = [(key, label) for key in (one, two) for label in ("audit", "fingerprint")]
    found = {master_key.derived(key, label) for key, label in labels}
    assert len(found) == 4
    assert not found & {one, two}
    assert len(master_key.check_value(one)) == 8
    assert master_key.check_value(one) != master_key.check_value(two)


def test_a_version_that_is_not_there_is_named(ring_file):
    with pytest.raises(MasterKeyError, match="version 9"):
        master_key.ring().key(9)
