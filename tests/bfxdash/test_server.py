"""The server as a process: how it starts, and how it ends."""

import signal
import socket
import sys
import time

import pytest

from bfxdash.gate import clean_environment
from tests.servers import SECRET_KEY, Child, free_port
from tests.sockets import start_ticking

__all__ = ["start_ticking"]


@pytest.fixture
def start_serve(tmp_path):
    """`manage.py serve` with these options."""
    started = []

    def start(*options, **environ):
        settings = {"SECRET_KEY": SECRET_KEY, "BFX_DATA_DIR": str(tmp_path), "LOG_JSON": "on"}
        started.append(
            Child(
                [sys.executable, "manage.py", "serve", *options],
                tmp_path / "serve.log",
                environ=clean_environment() | settings | environ,
            )
        )
        return started[-1]

    yield start
    for child in started:
        child.stop()


def test_a_stop_closes_every_socket_with_1012_and_ends_with_status_0(start_ticking):
    ticking = start_ticking()
    browsers = [ticking.open() for _ in range(10)]
    for browser in browsers:
        browser.next()
    ticking.child.process.send_signal(signal.SIGTERM)
    assert [browser.until_closed() for browser in browsers] == [1012] * 10
    assert ticking.child.process.wait(10) == 0


def test_a_browser_that_does_not_answer_holds_the_stop_up_for_two_seconds_at_most(start_ticking):
    ticking = start_ticking(BFX_FLUSH_MS="10")
    ticking.open(buffer=4096)
    ticking.order(every=0.01, symbols=200)
    time.sleep(0.5)
    began = time.monotonic()
    ticking.child.process.send_signal(signal.SIGINT)
    assert ticking.child.process.wait(10) == 0
    assert time.monotonic() - began < 5


def test_a_task_that_dies_stops_the_server_with_status_1_and_says_why(start_ticking):
    ticking = start_ticking()
    browser = ticking.open()
    browser.next()
    ticking.order(die="the lease is lost")
    assert browser.until_closed() == 1012
    assert ticking.child.process.wait(10) == 1
    assert "the lease is lost" in ticking.child.log
    assert '"task": "read_commands"' in ticking.child.log


def test_a_port_in_use_stops_the_start_with_status_1_and_its_name(start_serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = start_serve("--port", str(port))
        assert child.process.wait(20) == 1
    assert f"127.0.0.1:{port}" in child.log
    assert "Address already in use" in child.log


def test_serve_says_where_it_listens_and_takes_many_at_once(start_serve):
    port = free_port()
    child = start_serve("--port", str(port))
    child.wait_until(lambda: f"serving http://127.0.0.1:{port}" in child.log)
    waiting = [socket.create_connection(("127.0.0.1", port), timeout=1) for _ in range(200)]
    for each in waiting:
        each.close()
    assert child.stop() == 0


def test_a_failed_system_check_stops_the_start(start_serve):
    child = start_serve("--port", "0", SECRET_KEY="")
    assert child.process.wait(20) == 1
    assert "SECRET_KEY" in child.log
