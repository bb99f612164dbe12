"""The seal: it opens in its own row as it was sealed, and nowhere else."""

import ast
import copy
import dataclasses
import json
import pickle
import pprint
import traceback
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import vault
from accounts.errors import KeyRefused, MasterKeyError, SealBroken
from accounts.master_key import Ring
from accounts.vault import Binding, SealedKey, Secret

RING = Ring({1: bytes(range(1, 33)), 2: bytes(range(101, 133))}, "test")
BINDING = Binding(7, UUID(int=1), "sandbox", 1, '{"symbols":[]}')
NAME, SECRET = "name-" + "n" * 38, "CANARY-" + "s" * 36
FIELDS = ["wrapped_dek", "sealed_key", "sealed_secret"]


def sealed(binding=BINDING, ring=RING, version=1, name=NAME, secret=SECRET) -> SealedKey:
    return vault.seal(Secret(name), Secret(secret), binding, ring, version)


def changed(seal: SealedKey, columns: dict[str, Any]) -> SealedKey:
    return dataclasses.replace(seal, **columns)


def opened(seal, binding=BINDING, ring=RING) -> tuple[str, str]:
    name, secret = vault.open_sealed(seal, binding, ring)
    return name.reveal(), secret.reveal()


def test_what_was_sealed_opens_in_its_own_row():
    assert opened(sealed()) == (NAME, SECRET)


def test_sealing_twice_gives_different_texts():
    first, second = sealed(), sealed()
    assert first.wrapped_dek != second.wrapped_dek
    assert first.sealed_secret != second.sealed_secret


def test_columns_have_the_documented_shape():
    seal = sealed()
    assert len(seal.wrapped_dek) == 60
    assert seal.sealed_key[:1] == seal.sealed_secret[:1] == vault.FORMAT
    assert len(seal.sealed_secret) == 1 + 12 + len(SECRET) + 16


# --- G1 -------------------------------------------------------------------------------------------
texts = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=16, max_size=60)
versions = st.sampled_from([1, 2])
bindings = st.builds(
    Binding,
    owner=st.integers(0, 3),
    key=st.builds(UUID, int=st.integers(0, 3)),
    exchange=st.sampled_from(["sandbox", "live"]),
    generation=st.integers(1, 3),
    policy=st.sampled_from(["", "{}", '{"symbols":["tBTCUSD"]}']),
)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(
    mine=bindings, other=bindings, version=st.sampled_from([1, 2]), texts=st.tuples(texts, texts)
)
@pytest.mark.no_cover  # counting lines would take as long again
def test_g01_a_seal_opens_under_its_own_facts_only(mine, other, version, texts):
    seal = sealed(mine, version=version, name=texts[0], secret=texts[1])
    if mine == other:
        assert opened(seal, other) == texts
    else:
        with pytest.raises(SealBroken):
            vault.open_sealed(seal, other, RING)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(first=bindings, second=bindings, taken=st.sets(st.sampled_from([*FIELDS, "kek_version"])))
@pytest.mark.no_cover  # counting lines would take as long again
def test_g01_parts_of_two_rows_never_open_together(first, second, taken):
    here, there = sealed(first, version=1), sealed(second, version=2)
    spliced = changed(here, {name: getattr(there, name) for name in taken})
    if not taken:
        assert opened(spliced, first) == (NAME, SECRET)
    elif len(taken) == 4 and first == second:
        assert opened(spliced, first) == (NAME, SECRET)  # the whole row: it is the other one
    else:
        with pytest.raises(SealBroken):
            vault.open_sealed(spliced, first, RING)


def test_g01_the_name_and_the_secret_of_one_row_cannot_be_exchanged():
    seal = sealed()
    swapped = dataclasses.replace(
        seal, sealed_key=seal.sealed_secret, sealed_secret=seal.sealed_key
    )
    with pytest.raises(SealBroken):
        opened(swapped)


def test_g01_an_older_seal_does_not_open_in_a_newer_generation():
    newer = dataclasses.replace(BINDING, generation=2)
    with pytest.raises(SealBroken):
        opened(sealed(), newer)


def test_g01_every_single_bit_counts():
    seal, flips = sealed(), 0
    for name in FIELDS:
        column = getattr(seal, name)
        for bit in range(len(column) * 8):
            flipped = bytearray(column)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(SealBroken):
                opened(changed(seal, {name: bytes(flipped)}))
            flips += 1
    print(f"{flips} single-bit flips, 0 opened")
    assert flips > 1000


@pytest.mark.parametrize("planted", [b"", b"\x01", SECRET.encode(), b"\x01" + SECRET.encode()])
@pytest.mark.parametrize("column", FIELDS)
def test_g01_a_plain_text_in_the_column_is_no_secret(column, planted):
    with pytest.raises(SealBroken):
        opened(changed(sealed(), {column: planted}))


def test_lengths_are_part_of_what_is_covered():
    assert vault.joined(b"ab", b"c") != vault.joined(b"a", b"bc") != vault.joined(b"abc")


# --- Rotation -------------------------------------------------------------------------------------
def test_a_rewrap_changes_the_wrapping_alone():
    before = sealed()
    after = vault.rewrap(before, BINDING, RING, 2)
    assert after.kek_version == 2
    assert (after.sealed_key, after.sealed_secret) == (before.sealed_key, before.sealed_secret)
    assert opened(after, ring=Ring({2: RING.versions[2]}, "test")) == (NAME, SECRET)


def test_a_reseal_moves_the_secret_to_new_facts():
    after = dataclasses.replace(BINDING, generation=2, policy="{}")
    seal = vault.reseal(sealed(), BINDING, RING, 2, to=after)
    assert opened(seal, after) == (NAME, SECRET)
    with pytest.raises(SealBroken):
        opened(seal)


def test_a_version_that_the_ring_lacks_is_named():
    with pytest.raises(MasterKeyError, match="version 2"):
        opened(sealed(version=2), ring=Ring({1: RING.versions[1]}, "test"))


# --- Secrets --------------------------------------------------------------------------------------
def test_a_secret_does_not_print():
    secret = Secret(SECRET)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", f"{secret!r}"]
    shown += ["{}".format(secret), "%s" % secret]  # noqa: UP031, UP032  each is a way of its own
    shown += [pprint.pformat({"a": [secret]}), f"{secret:.3}", f"{(secret,)}"]
    assert not [text for text in shown if "CANARY" in text]
    assert repr(secret) == vault.MASK


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_a_secret_is_not_copied_or_stored(copied):
    with pytest.raises(TypeError):
        copied(Secret(SECRET))


def test_a_secret_has_no_dictionary_to_look_into():
    assert not hasattr(Secret(SECRET), "__dict__")


def test_a_traceback_with_all_variables_shows_no_secret():
    with pytest.raises(SealBroken) as caught:
        vault.open_sealed(sealed(), dataclasses.replace(BINDING, owner=8), RING)
    assert SECRET not in with_locals(caught.value)


def with_locals(error: Exception) -> str:
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(found.format())


@pytest.mark.parametrize("around", ["{}", "  {}\n", "\ufeff{}\u200b", "\u00a0{}\t", "\r\n{}\r\n"])
def test_white_space_round_a_pasted_key_is_dropped(around):
    assert vault.pasted(around.format(NAME)).reveal() == NAME
    assert vault.pasted(Secret(around.format(NAME))).reveal() == NAME


@pytest.mark.parametrize("text", ["", "short", "x" * 20 + " " + "y" * 20, "ключ" * 10, "x" * 300])
def test_what_can_be_no_key_is_refused_without_repeating_it(text):
    with pytest.raises(KeyRefused) as caught:
        vault.pasted(text)
    assert caught.value.reason == "malformed"
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    inside = [frame for frame in frames if frame.name == "pasted"]
    assert inside
    assert not [frame for frame in inside if "text" in (frame.locals or {})]


def test_a_fingerprint_tells_keys_and_exchanges_apart():
    stamp = bytes(32)
    prints = {
        vault.fingerprint(Secret(name), mode, stamp)
        for name in (NAME, SECRET)
        for mode in ("sandbox", "live")
    }
    assert len(prints) == 4
    assert vault.fingerprint(Secret(NAME), "live", stamp) in prints
    assert vault.last_four(Secret("0123456789")) == "6789"


def test_g02_secrets_are_revealed_in_two_places_only():
    """`reveal` is called once where it is sealed and once where it is signed with."""
    root = Path(__file__).resolve().parents[2]
    sources = [
        file for app in ("accounts", "market", "bfxdash") for file in (root / app).rglob("*.py")
    ]
    calls = [
        file.relative_to(root).as_posix()
        for file in sources
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    ]
    assert sorted(calls) == ["accounts/signer.py", "accounts/vault.py"]
