"""The database and the REST client behind the feed's ports, each in threads of its own.

A REST call may wait long for its slot; it must not hold up what guards the connections.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.db import Error as DatabaseFault

from market import budget, lease
from market.bitfinex import rest
from market.bitfinex.errors import ExchangeError, LimiterClosed, Maintenance, RateLimited
from market.bitfinex.messages import AnyTicker
from market.client import RestClient
from market.conf import exchange
from market.feed.holder import is_gone
from market.feed.ports import LedgerAway, RestFailed
from market.feed.status import IN_MAINTENANCE, UNREACHABLE
from market.models import FeedLease, SavedQuotes

T = TypeVar("T")
PAIRS = "pub:list:pair:exchange"


class DatabaseLedger:
    """`market.feed.ports.Ledger` in the database. `holder` names this process in the leases."""

    def __init__(self, holder: str) -> None:
        self._holder = holder
        self._threads = ThreadPoolExecutor(1, "feed-ledger")

    async def pay_connect(self, *, first: bool) -> float:
        return await self._run(budget.pay_connect, reconnect=not first)

    async def use_up_connects(self) -> None:
        await self._run(budget.use_up_connects)

    async def hold(self, range_: int, ttl: float) -> bool:
        return await self._run(_hold, range_, self._holder, ttl)

    async def release(self, range_: int) -> None:
        await self._run(lease.release, range_, self._holder)

    async def load_quotes(self, range_: int) -> dict[str, str]:
        return await self._run(_load, range_)

    async def save_quotes(self, range_: int, rows: Mapping[str, str]) -> None:
        await self._run(_save, range_, dict(rows))

    async def _run(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        in_thread = database_sync_to_async(work, thread_sensitive=False, executor=self._threads)
        try:
            result: T = await in_thread(*args, **kwargs)
        except DatabaseFault as fault:
            raise LedgerAway(f"{type(fault).__name__}: {fault}") from fault
        return result


class ClientRest:
    """`market.feed.ports.Rest` through the process's client, so within the shared budgets."""

    def __init__(self, client: RestClient) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(3, "feed-rest")

    async def operative(self) -> bool:
        return await self._call(rest.platform_status())

    async def pairs(self) -> list[str]:
        (pairs,) = await self._call(rest.conf([PAIRS]))
        if not isinstance(pairs, list):
            raise RestFailed(UNREACHABLE)
        return [pair for pair in pairs if isinstance(pair, str)]

    async def tickers(self) -> Mapping[str, AnyTicker]:
        return await self._call(rest.tickers("ALL"))

    async def _call(self, request: rest.Request[T]) -> T:
        in_thread = database_sync_to_async(
            self._client.call, thread_sensitive=False, executor=self._threads
        )
        try:
            result: T = await in_thread(request)
        except ExchangeError as error:
            raise _for_people(error) from error
        return result


def _for_people(error: ExchangeError) -> RestFailed:
    match error:
        case RateLimited():
            return RestFailed("waiting: Bitfinex limits requests", retry_after=error.retry_after)
        case Maintenance():
            return RestFailed(IN_MAINTENANCE)
        case LimiterClosed():
            return RestFailed("the database is out of reach")
        case _:
            return RestFailed(UNREACHABLE)


def _hold(range_: int, holder: str, ttl: float) -> bool:
    """As `lease.hold`, but without waiting for the lease of a dead process to expire."""
    if lease.hold(range_, holder, ttl):
        return True
    other = FeedLease.objects.filter(range=range_).values_list("holder", flat=True).first()
    if other is None or not is_gone(other):
        return False
    lease.release(range_, other)
    return lease.hold(range_, holder, ttl)


def _load(range_: int) -> dict[str, str]:
    saved = SavedQuotes.objects.filter(range=range_, exchange=exchange().mode).first()
    return dict(saved.rows) if saved else {}


def _save(range_: int, rows: dict[str, str]) -> None:
    row = {"rows": rows, "exchange": exchange().mode}
    SavedQuotes.objects.update_or_create(range=range_, defaults=row)
