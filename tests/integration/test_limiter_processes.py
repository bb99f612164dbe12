"""Several real processes share the budgets through each database; the sandbox exchange judges."""

import json
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from bfxdash.gate import clean_environment
from tests import servers
from tests.installation import MigratedDatabases, migrate

RATES = {"window": 3, "rates": {"ticker": 15}, "ws": 6}


def environment(**settings: str) -> dict[str, str]:
    needed = {"SECRET_KEY": servers.SECRET_KEY, "DJANGO_SETTINGS_MODULE": "bfxdash.settings"}
    return clean_environment() | needed | settings


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, migrated: MigratedDatabases
) -> str:
    if request.param == "postgres":
        return migrated.on_postgres(f"limiter_{tmp_path.name[-40:]}")
    return migrated.on_sqlite(tmp_path / "shared.sqlite3")


class Workers:
    """Processes that run `limited_worker`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.environ = environment(**{"BFX_RATES": json.dumps(RATES)} | settings)
        self.started: list[servers.Child] = []

    def start(self, count: int, what: str, seconds: float) -> list[servers.Child]:
        """Returns once all of them are at work."""
        command = [sys.executable, "-m", "tests.integration.limited_worker", what, seconds]
        for number in range(len(self.started), len(self.started) + count):
            log = self.folder / f"worker{number}"
            self.started.append(servers.Child(command, log, environ=self.environ, forked=True))
        new = self.started[-count:]
        for child in new:
            child.wait_until(partial(is_ready, child), 60)
        return new

    def lines(self) -> Iterator[list[str]]:
        """What each of them has printed, once it has ended."""
        for child in self.started:
            child.process.wait(300)
            yield child.log.splitlines()

    def outcomes(self) -> Counter[str]:
        """What became of all of them together; killed ones tell nothing."""
        told: Counter[str] = Counter()
        for lines in self.lines():
            told.update(Counter(json.loads(lines[-1]) if lines[-1].startswith("{") else {}))
        return told

    def moments(self) -> list[list[float]]:
        """The moments that each of them printed, killed ones too."""
        return [[float(line) for line in lines if line[0].isdigit()] for lines in self.lines()]

    def stop(self) -> None:
        for child in self.started:
            child.kill()


def is_ready(child: servers.Child) -> bool:
    return "ready" in child.log


@pytest.fixture
def start_workers(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    with ExitStack() as started:

        def start(exchange: servers.Exchange, **settings: str) -> Workers:
            workers = Workers(tmp_path, **exchange.settings | settings)
            started.callback(workers.stop)
            return workers

        yield start


@pytest.fixture
def exchange(start_exchange: Callable[..., servers.Exchange]) -> servers.Exchange:
    return start_exchange(BFX_RATES=json.dumps(RATES))


@pytest.fixture
def workers(
    start_workers: Callable[..., Workers], exchange: servers.Exchange, database_url: str
) -> Workers:
    return start_workers(exchange, DATABASE_URL=database_url)


def test_processes_never_exceed_the_shared_rate_and_use_it_up(
    workers: Workers, exchange: servers.Exchange
):
    workers.start(4, "calls", seconds=7)
    outcomes = workers.outcomes()
    counters = exchange.counters()
    assert counters["violations_total"] == 0
    assert outcomes["NoSlot"] > 0
    assert set(outcomes) <= {"ok", "NoSlot"}
    assert outcomes["ok"] == counters["requests"]["ticker"] >= 0.85 * 15 * 7 / 3


def test_a_process_killed_at_any_moment_leaves_the_others_working(
    workers: Workers, exchange: servers.Exchange
):
    children = workers.start(4, "calls", seconds=6)
    for victim in children[:3]:
        time.sleep(1)
        victim.kill()
    before = exchange.counters()["requests"]["ticker"]
    assert workers.outcomes()["ok"] > 0
    counters = exchange.counters()
    assert counters["violations_total"] == 0
    assert counters["requests"]["ticker"] > before


def test_once_limited_no_process_sends_more_than_what_was_on_its_way(
    start_workers: Callable[..., Workers],
    start_exchange: Callable[..., servers.Exchange],
    database_url: str,
):
    exchange = start_exchange(BFX_RATES=json.dumps(RATES | {"rates": {"ticker": 6}}))
    workers = start_workers(exchange, DATABASE_URL=database_url)  # which believe in 15
    workers.start(3, "calls", seconds=7)
    outcomes, counters = workers.outcomes(), exchange.counters()
    trips = counters["violations"]["rest_rate"]
    assert outcomes["ok"] >= 2 * 6, "they came back after the block"
    assert outcomes["RateLimited"] == counters["violations_total"]
    assert counters["requests_while_blocked"] <= 2 * trips


def test_connections_are_paid_within_the_budget_through_kill_after_kill(workers: Workers):
    for _ in range(3):
        children = workers.start(2, "connects", seconds=30)
        time.sleep(1.5)
        for child in children:
            child.kill()
    paid = sorted(moment for moments in workers.moments() for moment in moments)
    assert len(paid) >= 6
    busiest = max(bisect_left(paid, begin + 3) - place for place, begin in enumerate(paid))
    assert busiest <= 6


def test_only_one_process_holds_a_lease_and_another_takes_over(workers: Workers):
    children = workers.start(3, "lease", seconds=4)
    time.sleep(1.5)
    holder = max(children, key=lambda child: len(child.log))
    holder.kill()
    held = [(moment, who) for who, each in enumerate(workers.moments()) for moment in each]
    assert len({who for _, who in held}) >= 2
    for (earlier, one), (later, other) in pairwise(sorted(held)):
        assert one == other or later - earlier >= 0.35, "two held it at once"


def test_without_a_database_nothing_leaves(
    start_workers: Callable[..., Workers], exchange: servers.Exchange
):
    workers = start_workers(exchange, DATABASE_URL="sqlite:////nowhere/at/all.sqlite3")
    workers.start(1, "calls", seconds=1)
    assert set(workers.outcomes()) == {"LimiterClosed"}
    assert exchange.counters()["requests"] == {}


@pytest.mark.full
def test_at_the_exchanges_real_rates_the_budget_is_kept_and_used(
    start_workers: Callable[..., Workers],
    start_exchange: Callable[..., servers.Exchange],
    database_url: str,
):
    exchange, seconds = start_exchange(), 190
    workers = start_workers(exchange, DATABASE_URL=database_url, BFX_RATES="")
    workers.start(8, "calls_for_all", seconds)
    outcomes, counters = workers.outcomes(), exchange.counters()
    print({"outcomes": dict(outcomes), "counters": counters})
    assert counters["violations_total"] == 0
    assert counters["most_requests_in_a_window"]["tickers"] <= 30
    assert outcomes["ok"] >= 0.95 * 30 * seconds / 60


@pytest.mark.full
def test_when_the_database_stops_nothing_leaves_any_more(
    start_workers: Callable[..., Workers], exchange: servers.Exchange, tmp_path: Path
):
    postgres = servers.Postgres()
    try:
        url = postgres.make_database("stops")
        migrate(url, tmp_path)
        workers = start_workers(exchange, DATABASE_URL=url)
        workers.start(2, "calls", seconds=4)
        time.sleep(1)
    finally:
        postgres.stop()
    sent = exchange.counters()["requests"]["ticker"]
    assert workers.outcomes()["LimiterClosed"] > 0
    assert exchange.counters()["requests"]["ticker"] == sent > 0
