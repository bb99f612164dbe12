"""The feed's ports on the real database, and REST errors in words for people."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from channels.db import database_sync_to_async
from django.db import connection
from django.db.models import Model

from market.bitfinex import errors, rest
from market.client import RestClient
from market.feed.holder import holder_name
from market.feed.ledger import ClientRest, DatabaseLedger
from market.feed.ports import LedgerAway, RestFailed
from market.models import ConnectBudget, FeedLease, SavedQuotes

transactional = pytest.mark.django_db(transaction=True)


@database_sync_to_async
def count(model: type[Model]) -> int:
    return model._default_manager.count()


@transactional
async def test_connects_are_paid_and_a_quarter_is_kept() -> None:
    ledger = DatabaseLedger("me")
    first = [await ledger.pay_connect(first=True) for _ in range(16)]
    assert [wait == 0 for wait in first] == [True] * 15 + [False]
    assert await ledger.pay_connect(first=False) == 0


@transactional
async def test_using_up_is_seen_by_every_process() -> None:
    await DatabaseLedger("me").use_up_connects()
    assert await DatabaseLedger("another").pay_connect(first=False) > 60
    assert await count(ConnectBudget) == 1


@transactional
async def test_one_process_holds_a_range_until_it_gives_it_back() -> None:
    me, another = DatabaseLedger("me"), DatabaseLedger("another")
    assert await me.hold(0, 15)
    assert not await another.hold(0, 15)
    await another.release(0)
    assert await me.hold(0, 15)
    await me.release(0)
    assert await another.hold(0, 15)
    assert await count(FeedLease) == 1


@transactional
async def test_the_lease_of_a_dead_process_need_not_expire() -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    mine = holder_name()
    name = mine.replace(f":{os.getpid()}:", f":{dead.pid}:")
    assert await DatabaseLedger(name).hold(0, 15)
    assert await DatabaseLedger(mine).hold(0, 15)
    assert not await DatabaseLedger("another").hold(0, 15)


@transactional
async def test_quotes_come_back_as_they_were_saved() -> None:
    ledger = DatabaseLedger("me")
    assert await ledger.load_quotes(0) == {}
    for text in ('["tBTCUSD",1]', '["tBTCUSD",2]'):
        await ledger.save_quotes(0, {"tBTCUSD": text})
    assert await ledger.load_quotes(0) == {"tBTCUSD": '["tBTCUSD",2]'}
    assert await count(SavedQuotes) == 1


@transactional
async def test_a_database_out_of_reach_is_said_so() -> None:
    rename = database_sync_to_async(lambda sql: connection.cursor().execute(sql))
    await rename("ALTER TABLE market_feedlease RENAME TO gone")
    try:
        with pytest.raises(LedgerAway, match="market_feedlease"):
            await DatabaseLedger("me").hold(0, 15)
    finally:
        await rename("ALTER TABLE gone RENAME TO market_feedlease")


class FakeClient(RestClient):
    def __init__(self, answer: Callable[[rest.Request[object]], object]) -> None:
        self.answer = answer

    def call(self, request: rest.Request[object], **_: object) -> object:  # type: ignore[override]
        return self.answer(request)


async def test_calls_go_to_the_endpoints_they_are_meant_for() -> None:
    paths: list[str] = []

    def answer(request: rest.Request[object]) -> object:
        paths.append(request.url(Hosts()))
        return {"conf": [["BTCUSD", 7]], "platform/status": True}.get(request.scope, {})

    calls = ClientRest(FakeClient(answer))
    assert await calls.pairs() == ["BTCUSD"]
    assert await calls.operative() is True
    assert await calls.tickers() == {}
    assert paths == [
        "http://x/v2/conf/pub:list:pair:exchange",
        "http://x/v2/platform/status",
        "http://x/v2/tickers?symbols=ALL",
    ]


async def test_an_odd_list_of_pairs_is_a_failed_call() -> None:
    calls = ClientRest(FakeClient(lambda _: [None]))
    with pytest.raises(RestFailed):
        await calls.pairs()


class Hosts:
    public_rest = rest = "http://x"


@pytest.mark.parametrize(
    ("error", "reason", "retry_after"),
    [
        (errors.Unreachable("x"), "cannot reach Bitfinex", 0),
        (errors.Unavailable(502, "<html>"), "cannot reach Bitfinex", 0),
        (errors.NoReply("x"), "cannot reach Bitfinex", 0),
        (errors.Maintenance(20060, "x"), "Bitfinex is in maintenance", 0),
        (errors.RateLimited(42), "waiting: Bitfinex limits requests", 42),
        (errors.LimiterClosed("x"), "the database is out of reach", 0),
    ],
)
async def test_errors_become_words_for_people(
    error: errors.ExchangeError, reason: str, retry_after: float
) -> None:
    def answer(request: rest.Request[object]) -> object:
        raise error

    with pytest.raises(RestFailed) as failure:
        await ClientRest(FakeClient(answer)).tickers()
    assert (failure.value.reason, failure.value.retry_after) == (reason, retry_after)
