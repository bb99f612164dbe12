"""The three addresses that machines ask, on real servers of the run's profile."""

import time

import requests

from tests import servers


def figure(dashboard: servers.Dashboard, name: str) -> float:
    lines = requests.get(f"{dashboard.url}/metrics", timeout=10).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])


def test_every_process_becomes_ready_and_shows_its_figures(dashboard: servers.Dashboard):
    for url in dashboard.urls:
        assert requests.get(f"{url}/healthz", timeout=10).json() == {"alive": True}
        told = requests.get(f"{url}/readyz", timeout=10).json()
        assert (told["ready"], told["reason"]) == (True, "")
    assert figure(dashboard, "bfxdash_symbols") > 250
    assert figure(dashboard, "bfxdash_feed_age_seconds") < 15
    assert figure(dashboard, "bfxdash_limiter_open") == 1
    assert figure(dashboard, "bfxdash_blocked_seconds") == 0


def test_asking_often_costs_no_connection_and_no_channel(dashboard: servers.Dashboard):
    def open_files() -> int:
        return int(figure(dashboard, "process_open_fds"))

    started, before = time.monotonic(), open_files()
    for _ in range(60):
        assert requests.get(f"{dashboard.url}/readyz", timeout=10).ok
    assert open_files() <= before + 10
    assert time.monotonic() - started < 30
