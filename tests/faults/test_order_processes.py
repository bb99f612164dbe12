"""Several processes trade with one key: no caller meets a refused nonce, and every order is placed
once. All without Redis; with `--full` each on SQLite and PostgreSQL. The figures are printed.
"""

import sqlite3
import time
from bisect import bisect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests import servers
from tests.bench import orders as bench
from tests.bench.workshop import Workshop
from tests.trading_floor import WIDE, Floor, assert_true, wait_until

WIDE_WINDOW_S = 62.0  # what a budget may cost whose clock was set back: one window
INSIDE = 0.1  # refused nonces that no caller meets, where a busy machine swaps two calls

FULL = pytest.mark.full
BOTH = pytest.mark.parametrize("floor", ["sqlite", "postgres"], indirect=True)
SQLITE = pytest.mark.parametrize(
    "floor", ["sqlite", pytest.param("postgres", marks=FULL)], indirect=True
)
POSTGRES = pytest.mark.parametrize(
    "floor", ["postgres", pytest.param("sqlite", marks=FULL)], indirect=True
)


@pytest.fixture(scope="module")
def floor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Floor]:
    folder = tmp_path_factory.mktemp("floor")
    url = f"sqlite:///{folder / 'shared.sqlite3'}"
    if request.param == "postgres":
        postgres: servers.Postgres = request.getfixturevalue("postgres")
        url = postgres.make_database(f"orders_{Path(folder).name}")
    floor = Floor(folder, url, WIDE)
    floor.exchange.fault(kind="latency", up=0.02)
    yield floor
    floor.close()


@BOTH
@pytest.mark.parametrize(
    ("processes", "orders", "inside"),
    [(3, 40, INSIDE), pytest.param(8, 400, 0.01, marks=FULL)],
)
def test_processes_with_one_key_place_and_cancel_every_order(
    floor: Floor, processes: int, orders: int, inside: float
):
    desk = floor.open_desk()
    done, found = desk.trade(processes=processes, orders=orders), desk.truth()
    refused = desk.refused_inside()
    print({"seconds": done["seconds"], "refused inside": refused, **found})
    assert done["states"] == {"accepted": orders}, done["reasons"]
    assert done["cancels"] == {"requested": orders}, done["reasons"]
    assert_true(found)
    assert (found["orders"], found["active"]) == (orders, 0)
    assert floor.exchange.counters()["violations_total"] == 0
    assert refused <= 2 * orders * inside


@pytest.mark.full
@pytest.mark.parametrize("name", bench.PEERS)
def test_the_same_run_with_a_peer_is_shown_beside(name: str):
    """Nothing is asserted of a peer but that it ran: its figures are to compare ours with."""
    workshop = Workshop(servers.ROOT / "data" / "cache" / "bench")
    sizes = bench.Options(processes=8, keys=1, orders=400, latency=20)
    run = bench.peer_orders(name, sizes, workshop)
    print(run)
    assert "error" not in run
    assert run["placed"] > 0


@BOTH
@pytest.mark.parametrize("orders", [12, pytest.param(100, marks=FULL)])
def test_with_the_clock_set_back_an_hour_every_order_is_placed(floor: Floor, orders: int):
    desk = floor.open_desk()
    before = desk.trade(processes=2, orders=orders, ahead=3600)
    if floor.made.environ["DATABASE_URL"].startswith("postgres"):
        desk.push_nonce(floor.ask("write_ahead", keys=desk.uuids, seconds=3600)["nonce"])
    done, found = desk.trade(processes=2, orders=orders), desk.truth()
    print({"seconds": done["seconds"], "refused inside": desk.refused_inside(), **found})
    assert before["states"] == done["states"] == {"accepted": orders}, done["reasons"]
    assert_true(found)
    assert found["active"] == 0
    assert done["seconds"] < before["seconds"] + WIDE_WINDOW_S  # nobody waits for the hour


@SQLITE
@pytest.mark.parametrize("orders", [12, pytest.param(100, marks=FULL)])
def test_a_foreign_program_that_pushes_the_nonce_ahead_is_overtaken(floor: Floor, orders: int):
    desk = floor.open_desk()
    before = desk.trade(processes=1, orders=1)
    desk.push_nonce(int(time.time() + 3600) * 1_000_000)
    done, found = desk.trade(processes=2, orders=orders), desk.truth()
    print({"refused inside": desk.refused_inside(), **found})
    assert before["states"] == {"accepted": 1}
    assert done["states"] == {"accepted": orders}, done["reasons"]
    assert_true(found)
    assert found["active"] == 0


@SQLITE
@pytest.mark.parametrize(("orders", "inside"), [(10, INSIDE), pytest.param(100, 0.01, marks=FULL)])
def test_a_database_restored_from_an_old_copy_uses_no_nonce_twice(
    floor: Floor, orders: int, inside: float
):
    desk = floor.open_desk()
    states = [desk.trade(processes=1, orders=orders, cancel=False)["states"]]
    copy = Copy(floor.made.environ["DATABASE_URL"])
    states.append(desk.trade(processes=2, orders=orders, cancel=False)["states"])
    copy.restore()
    states.append(desk.trade(processes=2, orders=orders, cancel=False)["states"])
    found, nonces = desk.truth(), [row["nonce"] for row in desk.arrivals()]
    print({"refused inside": desk.refused_inside(), **found})
    assert states == [{"accepted": orders}] * 3
    assert len(nonces) == len(set(nonces)) >= 3 * orders
    assert desk.refused_inside() <= 3 * orders * inside
    assert found["duplicate"] == found["unsettled"] == 0
    assert found["false"] == []
    assert (found["orders"], found["lost"]) == (3 * orders, orders)  # those after the copy


class Copy:
    """Of a database that nobody uses at the moment."""

    def __init__(self, url: str) -> None:
        self.url, self.path = url, url.removeprefix("sqlite:///")
        if self.path != url:
            with sqlite3.connect(self.path) as here, sqlite3.connect(f"{self.path}.old") as there:
                here.backup(there)
        else:
            self.name = url.rpartition("/")[2]
            self.on_server(f'CREATE DATABASE "{self.name}_old" TEMPLATE "{self.name}"')

    def restore(self) -> None:
        if self.path != self.url:
            for suffix in ("-wal", "-shm"):
                Path(self.path + suffix).unlink(missing_ok=True)
            Path(f"{self.path}.old").replace(self.path)
        else:
            self.on_server(f'DROP DATABASE "{self.name}" WITH (FORCE)')
            self.on_server(f'ALTER DATABASE "{self.name}_old" RENAME TO "{self.name}"')

    def on_server(self, statement: str) -> None:
        server = f"{self.url.rpartition('/')[0]}/postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(statement)


# --- Processes and servers that end ---------------------------------------------------------------
@POSTGRES
@pytest.mark.parametrize(
    ("processes", "orders", "every"),
    [(3, 30, 0.7), pytest.param(8, 400, 1.0, marks=FULL)],
)
def test_processes_killed_and_frozen_make_nobody_wait(
    request: pytest.FixtureRequest, floor: Floor, processes: int, orders: int, every: float
):
    desk = floor.open_desk()
    done = desk.trade(processes=processes, orders=orders, disturb=every, follow=0, pace=4)
    found, calls = desk.truth(), [row["at"] for row in desk.arrivals()]
    killed, frozen = (next_calls(calls, done[name]) for name in ("killed_at", "frozen_at"))
    print({"next call after a kill": killed[-3:], "after a freeze": frozen[-3:], **found})
    assert_true(found)
    kills = len(done["killed_at"])
    assert found["active"] <= kills  # who was killed did not cancel any more
    assert found["orders"] >= orders - kills
    if request.config.getoption("--full"):
        assert killed[-1] <= 0.3
        assert frozen[-1] <= 0.3


def next_calls(calls: list[float], moments: list[float]) -> list[float]:
    """Seconds from each moment to the next call that arrived."""
    return sorted(calls[bisect(calls, at)] - at for at in moments if at < calls[-1])


def test_when_the_database_starts_anew_every_order_is_true(tmp_path: Path):
    postgres = servers.Postgres(durable=True)
    if postgres.folder is None:
        pytest.skip("the database server is not ours")
    floor = Floor(tmp_path, postgres.make_database("restarts"), WIDE)
    try:
        desk = floor.open_desk()
        with ThreadPoolExecutor(1) as trader:
            trading = trader.submit(
                desk.trade, processes=3, orders=40, cancel=False, follow=0, pause=0.05, pace=4
            )
            wait_until(lambda: len(desk.arrivals()) >= 10)
            postgres.restart(down=0.5)  # here: a server dies with the thread that started it
            done = trading.result(120)
        after = desk.trade(processes=2, orders=4, cancel=False)
        found = desk.truth()
    finally:
        floor.close()
        postgres.stop()
    print({"raised": done["raised"], "states": done["states"], **found})
    assert done["raised"] or done["states"]["accepted"] < 40, "the restart hit nobody"
    assert after["states"] == {"accepted": 4}
    assert_true(found)
