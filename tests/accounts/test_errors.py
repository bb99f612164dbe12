"""Errors carry data; their text is made of it."""

from uuid import UUID

import pytest

from accounts import errors

KEY = UUID(int=7)
TEXTS = {
    errors.KeyRevoked(KEY): f"key {KEY} is revoked",
    errors.KeyHalted(KEY, 1): f"key {KEY} is halted for orders",
    errors.KeyHalted(KEY, 2): f"key {KEY} is halted",
    errors.KeyNotReady(KEY, "quarantined"): f"key {KEY} is quarantined",
    errors.PermissionMissing(KEY, "orders", "write"): f"key {KEY} may not write orders",
    errors.KeyBusy(KEY, 500): f"key {KEY} is free in 500 µs",
    errors.SendWindowMissed(3): "3 µs late",
    errors.SealBroken("key 7"): "the seal of key 7 is broken",
    errors.MasterKeyError("file", "is empty"): "file: is empty",
    errors.KeyRefused("withdraw"): "key refused: withdraw",
    errors.KeyRefused("rejected", "digest"): "key refused: rejected digest",
    errors.KeyRejected(10100, "apikey: invalid"): "10100 apikey: invalid",
}


@pytest.mark.parametrize("error", TEXTS, ids=lambda error: type(error).__name__)
def test_an_error_says_what_it_carries(error):
    assert str(error) == TEXTS[error]
    assert isinstance(error, errors.AccountsError)


def test_every_error_is_in_the_tree_of_the_docstring():
    classes = {name for name, each in vars(errors).items() if isinstance(each, type)}
    drawn = set(str(errors.__doc__).split())
    assert {name for name in classes if name != "UUID"} <= drawn
