"""The sandbox beside the server: it starts, it is missed when it dies, it goes when we go."""

import asyncio
import os
import signal
from contextlib import ExitStack

import pytest
import requests

from bfxdash.sandbox_child import SandboxChild, SandboxDied
from tests.servers import free_port


@pytest.fixture
def port():
    return free_port(count=2)


@pytest.fixture
def start(port, tmp_path):
    with ExitStack() as started:

        def start(*options: str) -> SandboxChild:
            child = SandboxChild(port, tmp_path, *options)
            started.callback(child.stop)
            return child

        yield start


@pytest.fixture
def child(start):
    return start()


def test_it_answers_once_it_is_ready(child, port):
    child.wait_ready()
    assert child.address.startswith(f"http://127.0.0.1:{port} ")
    assert requests.get(f"http://127.0.0.1:{port}/v2/platform/status", timeout=5).json() == [1]


def test_it_plays_a_recording(start, port, recordings):
    file = recordings / "ws_public" / "2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"
    start(str(file)).wait_ready()
    pairs = requests.get(f"http://127.0.0.1:{port}/v2/conf/pub:list:pair:exchange", timeout=5)
    assert len(pairs.json()[0]) == 8


def test_it_says_when_it_cannot_start(start, tmp_path):
    child = start(str(tmp_path / "missing"))
    with pytest.raises(SandboxDied, match=r"did not start \(exit status 1\)"):
        child.wait_ready()


async def test_its_death_is_noticed(child):
    child.wait_ready()
    watching = asyncio.create_task(child.watch())
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(SandboxDied, match=r"ended by itself \(exit status -9\)"):
        await asyncio.wait_for(watching, 5)


def test_it_has_a_session_of_its_own(child):
    """So that Ctrl-C in a terminal reaches only us, and we end it in our own time."""
    child.wait_ready()
    assert os.getsid(child.pid) == child.pid != os.getsid(0)


def test_one_that_hangs_is_ended_all_the_same(child):
    child.wait_ready()
    os.kill(child.pid, signal.SIGSTOP)
    child.stop(patience=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
