import pytest

from accounts import sealed_rows
from accounts.models import ApiKey
from accounts.vault import SealedKey


def test_a_row_gives_what_its_seal_needs(key, alice):
    row = ApiKey.objects.with_seal().get(pk=key.pk)
    binding = sealed_rows.binding_of(row)
    assert (binding.owner, binding.key, binding.generation) == (alice.pk, key.uuid, 1)
    assert (binding.exchange, binding.policy) == ("sandbox", row.policy_text)
    sealed = sealed_rows.sealed_of(row)
    assert sealed_rows.columns_of(sealed)["wrapped_dek"] == sealed.wrapped_dek
    assert len(sealed.wrapped_dek) == 60


@pytest.mark.parametrize("column", [None, "text", 7])
def test_whatever_is_no_bytes_becomes_bytes_that_do_not_open(column):
    assert sealed_rows.sealed_from(None, column, b"x", memoryview(b"y")) == SealedKey(
        0, b"", b"x", b"y"
    )
