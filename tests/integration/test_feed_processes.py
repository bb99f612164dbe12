"""The feed as a process: the real list live, killed and restarted, and taken over."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from tests.feeds import Feeds, make_feeds, wait_for
from tests.servers import Exchange

RATES = json.dumps({"window": 6})  # 20 connections in 6 s, and so on


@pytest.fixture
def start_feeds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Feeds]]:
    with ExitStack() as started:

        def start(exchange: Exchange, **environ: str) -> Feeds:
            feeds = make_feeds(request, tmp_path, exchange, **environ)
            started.callback(feeds.stop)
            return feeds

        yield start


def violations(exchange: Exchange) -> int:
    counters = exchange.counters()
    return int(counters["violations_total"] + counters["connections"]["refused"])


def is_all_open(exchange: Exchange) -> Callable[[], bool]:
    def check() -> bool:
        counters = exchange.counters()
        return (counters["connections"]["open"], counters["channels"]["open"]) == (15, 375)

    return check


def test_the_whole_real_list_is_live_in_seconds_within_the_real_limits(
    exchange_server: Exchange, start_feeds: Callable[..., Feeds]
) -> None:
    feeds = start_feeds(exchange_server)
    feed = feeds.start()
    wait_for(is_all_open(exchange_server))
    assert feed.stop() == 0
    saved = feeds.saved()
    assert sum(symbol.startswith("t") for symbol in saved) == 293
    assert sum(symbol.startswith("f") for symbol in saved) >= 10
    counters = exchange_server.counters()
    assert violations(exchange_server) == 0
    assert counters["connections"]["opened"] == 15
    assert counters["connections"]["open"] == 0
    assert counters["channels"]["most_on_a_connection"] <= 25


@pytest.mark.parametrize("rates", [RATES, pytest.param("{}", marks=pytest.mark.full)])
def test_ten_kills_never_exceed_the_budget_of_connections(
    start_exchange: Callable[..., Exchange], start_feeds: Callable[..., Feeds], rates: str
) -> None:
    exchange = start_exchange(BFX_RATES=rates)
    feeds = start_feeds(exchange, BFX_RATES=rates)
    rng = Random(2)
    for _ in range(10):
        feed = feeds.start()
        wait_for(lambda: "serving" in feed.log)  # noqa: B023
        time.sleep(rng.uniform(0, 2.5))
        feed.kill()
        feed.log_file.unlink()
    opened = exchange.counters()["connections"]["opened"]
    feeds.start()
    wait_for(is_all_open(exchange), seconds=100)
    assert violations(exchange) == 0
    assert exchange.counters()["connections"]["most_in_a_window"] <= 20
    assert opened >= 18, "too few attempts to prove anything"


def test_a_second_feed_stands_by_and_takes_over_from_a_killed_one(
    exchange_server: Exchange, start_feeds: Callable[..., Feeds]
) -> None:
    feeds = start_feeds(exchange_server)
    first = feeds.start("first")
    wait_for(is_all_open(exchange_server))
    second = feeds.start("second")
    time.sleep(2)
    assert exchange_server.counters()["connections"]["opened"] == 15
    first.kill()
    wait_for(lambda: exchange_server.counters()["connections"]["opened"] == 18)
    assert second.running
    assert violations(exchange_server) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(
    exchange_server: Exchange, start_feeds: Callable[..., Feeds], number: signal.Signals
) -> None:
    feed = start_feeds(exchange_server).start()
    wait_for(lambda: exchange_server.counters()["connections"]["open"])
    began = time.monotonic()
    assert feed.stop(number) == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in feed.log


def test_bad_settings_stop_the_start_and_name_the_variable(
    exchange_server: Exchange, start_feeds: Callable[..., Feeds]
) -> None:
    feed = start_feeds(exchange_server).start(BFX_EGRESS="no such name!")
    feed.process.wait(20)
    assert feed.close() != 0
    assert "BFX_EGRESS" in feed.log
    assert exchange_server.counters()["connections"]["opened"] == 0
