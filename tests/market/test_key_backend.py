from collections.abc import Callable
from typing import Any

import pytest

from accounts.errors import ExchangeUnavailable, KeyRejected
from accounts.exchange import backend
from accounts.models import ApiKey
from market.bitfinex.account import Permission
from market.bitfinex.errors import AuthRefused, NoReply
from market.client import RestClient
from market.key_backend import BitfinexKeys


class ScriptedClient(RestClient):
    """Gives one answer to every call, and keeps what was asked and how."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def call(self, request, key=None, *, lane="read", **options):
        self.asked.append((request.path, lane))
        return self.answer()


def failing(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


KEY = ApiKey(label="main")


def test_permissions_come_from_the_exchange():
    client = ScriptedClient(lambda: [Permission("orders", 1, 0), Permission("withdraw", 1, 1)])
    permissions = BitfinexKeys(client).permissions(KEY)
    assert permissions.allows("orders", "read")
    assert not permissions.allows("orders", "write")
    assert permissions.withdraws
    assert client.asked == [("auth/r/permissions", "look_up")]


def test_a_key_that_the_exchange_refuses_is_rejected_in_its_words():
    refusing = ScriptedClient(failing(AuthRefused(10100, "apikey: invalid")))
    with pytest.raises(KeyRejected) as caught:
        BitfinexKeys(refusing).permissions(KEY)
    assert (caught.value.code, caught.value.text) == (10100, "apikey: invalid")


def test_any_other_failure_says_nothing_about_the_key():
    with pytest.raises(ExchangeUnavailable):
        BitfinexKeys(ScriptedClient(failing(NoReply("ReadTimeout")))).permissions(KEY)


def test_cancel_all_passes_in_the_lane_kept_for_cancels():
    client = ScriptedClient(lambda: ["one", "two", "three"])
    assert BitfinexKeys(client).cancel_all(KEY).orders == 3
    assert client.asked == [("auth/w/order/cancel/multi", "cancel")]


def test_cancel_all_says_what_went_wrong_instead_of_raising():
    cancelled = BitfinexKeys(ScriptedClient(failing(NoReply("ReadTimeout")))).cancel_all(KEY)
    assert cancelled.orders is None
    assert "no whole reply" in cancelled.problem


def test_it_is_the_backend_that_the_settings_name():
    assert isinstance(backend(), BitfinexKeys)
