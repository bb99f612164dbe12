import asyncio
import threading

import pytest
from django.db import connection, connections

from market.background import Background, Full, background, drain_at_the_end


@pytest.fixture
def gate():
    """Work waits here until the test opens it."""
    event = threading.Event()
    yield event
    event.set()


def test_work_gives_its_value_and_its_error():
    pool = Background()
    assert pool.run("a", lambda: 7).result(5) == 7
    with pytest.raises(ValueError, match="nonsense"):
        pool.run("b", lambda: int("nonsense")).result(5)


def test_what_runs_already_is_not_begun_again(gate):
    pool, begun = Background(), []

    def work():
        begun.append(1)
        gate.wait(5)

    first, second = pool.run("order", work), pool.run("order", work)
    assert first is second
    gate.set()
    first.result(5)
    assert begun == [1]


def test_no_more_than_so_many_at_a_time(gate):
    pool = Background(workers=2)
    waiting = [pool.run(name, lambda: gate.wait(5)) for name in "ab"]
    with pytest.raises(Full):
        pool.run("c", lambda: None)
    gate.set()
    assert all(each.result(5) for each in waiting)
    assert pool.drain(5) == 0
    assert pool.run("c", lambda: 1).result(5) == 1


def test_a_drain_says_what_is_left(gate):
    pool = Background()
    pool.run("slow", lambda: gate.wait(5))
    assert pool.drain(0.05) == 1
    gate.set()
    assert pool.drain(5) == 0


@pytest.mark.django_db(transaction=True)
def test_work_gives_its_database_connection_back():
    def ask():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return connections["default"]

    made = Background().run("ask", ask).result(5)
    assert made is not connections["default"]
    assert made.connection is None


async def test_a_stopping_server_waits_for_what_is_under_way(gate):
    background.cache_clear()
    done = background().run("order", lambda: gate.wait(5))
    task = asyncio.create_task(drain_at_the_end())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(0.1)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.done()
    background.cache_clear()
