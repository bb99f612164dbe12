"""Our own signed calls, as forked workers of a driver: the lines of `tests.order_crew`, and

- `read {"keys", "processes", "seconds", "rate"}`: wallets, asked for by every process so often;
- `cost {"keys", "address", "pair", "calls"}`: the same calls bare and through limiter, grant and
  record, in turn; medians in ms of time and of this process's CPU, and what each asks of the
  database;
- `wire {"keys", "threads"}`: connections to the database while so many requests wait for a reply.
"""

import sqlite3
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from typing import Any

from tests import order_crew
from tests.bench.peers.traders import Bare
from tests.order_crew import FORK, Crew, apart

REST = 0.06  # a little more than the gap between two calls of one key


def ask_wallets(key: Any, deadline: float = 2.0) -> str:
    from market.bitfinex import account
    from market.bitfinex.errors import ExchangeError, RateLimited
    from market.client import client

    try:
        client().call(account.wallets(), key, deadline=deadline)
    except RateLimited:
        return "limited"
    except ExchangeError:
        return "failed"
    return "ok"


def read(keys: list[str], processes: int, seconds: float, rate: float) -> dict[str, Any]:
    ready, start = FORK.Semaphore(0), FORK.Event()

    def work(_: int, __: Any, tell: Callable[[Any], None]) -> None:
        from accounts.models import ApiKey

        key = ApiKey.objects.get(pk=keys[0])
        ready.release()
        start.wait()
        end, seen = time.monotonic() + seconds, Counter[str]()
        while (now := time.monotonic()) < end:
            seen[ask_wallets(key)] += 1
            time.sleep(max(0.0, now + 1 / rate - time.monotonic()))
        tell(seen)

    crew, total = Crew(work), Counter[str]()
    for number in range(processes):
        crew.spawn(number, 1)
    for _ in range(processes):
        ready.acquire()
    start.set()
    crew.attend(total.update, lambda _: None, 1)
    return dict(total)


def place(key: Any) -> None:
    from market.orders import place_order

    order: dict[str, Any] = {"symbol": order_crew.SYMBOL, "side": "buy"}
    order |= {"amount": Decimal("0.0001"), "price": Decimal(20_000)}
    intent = place_order(user=key.owner, key=key, order_type="EXCHANGE LIMIT", **order)
    if not intent.order_id:
        raise order_crew.Failed(intent.reason)


# --- What one call costs --------------------------------------------------------------------------
def cost(keys: list[str], address: str, pair: list[str], calls: int) -> dict[str, Any]:
    from accounts.models import ApiKey

    key = ApiKey.objects.select_related("owner").get(pk=keys[0])
    bare = Bare(address, *pair, limited=False)
    ways: dict[str, Callable[[], Any]] = {
        "bare_read": bare.wallets,
        "read": lambda: ask_wallets(key),
        "bare_place": bare.place,
        "place": lambda: place(key),
    }
    taken: dict[str, list[float]] = defaultdict(list)
    for turn in range(calls + 3):  # the first ones open connections
        for name, way in ways.items():
            began, cpu = time.perf_counter(), time.process_time()
            way()
            if turn >= 3:
                taken[f"{name}_ms"].append((time.perf_counter() - began) * 1000)
                taken[f"{name}_cpu_ms"].append((time.process_time() - cpu) * 1000)
            time.sleep(REST)
    medians = {name: statistics.median(each) for name, each in taken.items()}
    return medians | {name: of_database(ways[name]) for name in ("read", "place")}


def of_database(way: Callable[[], Any]) -> dict[str, int]:
    """Statements and transactions of one call, by Django's own log of them."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        way()
    statements = [query["sql"].split()[0].upper() for query in captured.captured_queries]
    inside, transactions, asked = False, 0, 0
    for word in statements:
        inside = word in ("BEGIN", "SAVEPOINT") or (inside and word not in ("COMMIT", "ROLLBACK"))
        if word in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"):
            transactions += word == "COMMIT"
            continue
        asked += 1
        transactions += not inside
    return {"statements": asked, "transactions": transactions}


# --- While a request is on the wire ---------------------------------------------------------------
def wire(keys: list[str], threads: int) -> dict[str, Any]:
    """The exchange's replies are slow meanwhile."""
    from django.db import connection

    from accounts.models import ApiKey
    from market import client

    key, waiting = ApiKey.objects.get(pk=keys[0]), Counter[str]()
    real = client.RestClient._exchange_bytes

    def exchange_bytes(*words: Any) -> Any:
        waiting["now"] += 1
        try:
            return real(*words)
        finally:
            waiting["now"] -= 1

    setattr(client.RestClient, "_exchange_bytes", exchange_bytes)  # noqa: B010
    connection.close()
    askers = [threading.Thread(target=ask_wallets, args=[key, 10.0]) for _ in range(threads)]
    for each in askers:
        each.start()
    held: list[int] = []
    while any(each.is_alive() for each in askers):
        if waiting["now"] == threads:
            held.append(connections_held())
        time.sleep(0.02)
    return {"requests": threads, "looks": len(held), "held": max(held, default=-1)}


def connections_held() -> int:
    """Connections that threads have taken out of the pool. SQLite has none: there it is whether
    anybody keeps others from writing."""
    from django.db import connection

    if connection.vendor == "postgresql":
        stats = connection.pool.get_stats()  # type: ignore[attr-defined]
        held: int = stats["pool_size"] - stats["pool_available"]
        return held
    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return 1
    return 0


if __name__ == "__main__":
    order_crew.COMMANDS |= {"read": read, "cost": apart(cost), "wire": apart(wire)}
    order_crew.main()
