import pytest

from market.invalid_words import REASONS, invalid_words


@pytest.mark.parametrize("reason", [*REASONS, "missing", "unexpected", "unknown"])
def test_every_reason_has_words(reason):
    words = invalid_words("price", reason)
    assert words.endswith((".", "please."))
    assert "does not take this" not in words


def test_a_missing_price_is_named():
    assert invalid_words("price_aux_limit", "missing").endswith("needs a limit after the stop.")
    assert invalid_words("leverage", "range") == "From 1 to 100."
    assert "strange" in invalid_words("amount", "strange")
