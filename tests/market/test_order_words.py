from uuid import uuid4

import pytest

from accounts.errors import KeyBusy, KeyHalted, KeyRevoked, MasterKeyError
from market.bitfinex.errors import (
    AuthRefused,
    LimiterClosed,
    Maintenance,
    NonceRefused,
    NoReply,
    NoSlot,
    RateLimited,
    Rejected,
    Unavailable,
    Unreachable,
    Unreadable,
)
from market.order_words import CHECKING, why

KEY = uuid4()
NOTHING_SENT = ("Not sent", "Not executed")


@pytest.mark.parametrize(
    "error",
    [
        NoSlot("auth/w/order/submit", 12.4),
        RateLimited(60.0),
        LimiterClosed("OperationalError"),
        Unreachable("ConnectTimeout"),
        Maintenance(20060, "maintenance"),
        NonceRefused(10114, "nonce: small"),
        KeyRevoked(KEY),
        KeyHalted(KEY, 1),
        KeyBusy(KEY, 1000),
        MasterKeyError("file", "missing"),
    ],
)
def test_what_was_not_executed_is_said_so(error: Exception):
    assert why(error).startswith(NOTHING_SENT)


@pytest.mark.parametrize(
    "error", [NoReply("ReadTimeout"), Unavailable(502, "<html>"), Unreadable(200, "[")]
)
def test_a_doubt_is_never_called_a_failure(error: Exception):
    assert why(error) == CHECKING


def test_waits_are_told_in_seconds_and_refusals_in_the_exchanges_words():
    assert "12 s" in why(NoSlot("auth/w/order/submit", 12.4))
    assert "amount: {0}" in why(Rejected(10001, "amount: {0}"))
    assert "apikey: invalid" in why(AuthRefused(10100, "apikey: invalid"))


def test_an_error_without_words_is_a_mistake():
    with pytest.raises(LookupError):
        why(ZeroDivisionError())
