from collections.abc import Callable
from typing import Any

import pytest

from accounts.errors import ExchangeUnavailable, KeyRejected
from accounts.exchange import Cancelled, backend
from accounts.models import ApiKey
from market.bitfinex.account import Permission
from market.bitfinex.errors import AuthRefused, NoReply, RateLimited
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


class CancellingClient(RestClient):
    """Gives these answers in turn: a list of rows, or an error to raise."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    def call(self, request, key=None, *, lane="read", **options):
        self.asked.append((request.path, lane))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_cancel_all_passes_in_the_lanes_kept_for_it_and_looks_again():
    client = CancellingClient(["one", "two", "three"], ["three"], [])
    assert BitfinexKeys(client).cancel_all(KEY) == Cancelled(3)
    look = ("auth/r/orders", "look_up")
    assert client.asked == [("auth/w/order/cancel/multi", "cancel"), look, look]


LOST = NoReply("ReadTimeout")


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([RateLimited(60)], "rate limited, free in 60.0 s"),
        ([["one", "two"], ["two"], ["two"], ["two"]], "1 of them are still open"),
        ([["one"], LOST], "told to end, but not seen to (no whole reply (ReadTimeout))"),
        ([LOST, [], ["one"], []], "an answer was lost, but none was open a moment later"),
        ([LOST, LOST, ["one"], ["one"], ["one"]], "1 of them are still open"),
    ],
)
def test_cancel_all_says_what_is_not_known_instead_of_raising(answers, problem):
    assert BitfinexKeys(CancellingClient(*answers)).cancel_all(KEY) == Cancelled(None, problem)


def test_burning_is_one_read_and_says_what_went_wrong_instead_of_raising():
    client = ScriptedClient(lambda: [])
    assert BitfinexKeys(client).burn(KEY).problem == ""
    assert client.asked == [("auth/r/permissions", "burn")]
    lost = BitfinexKeys(ScriptedClient(failing(NoReply("ReadTimeout")))).burn(KEY)
    assert "no whole reply" in lost.problem


def test_it_is_the_backend_that_the_settings_name():
    assert isinstance(backend(), BitfinexKeys)
