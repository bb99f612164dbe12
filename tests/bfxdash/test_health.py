import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.http import HttpRequest
from django.test import AsyncClient, Client, RequestFactory
from prometheus_client import CollectorRegistry, generate_latest
from pytest_django import Settings

from bfxdash import health
from market import limiter
from market.hub import Hub, hub
from market.quotes import FeedState, FeedStatus

ROW = '["tBTCUSD",1,1,1,1,0.1,1,1,1,1700000000000,1]'


def status(state: FeedState = "live", age: float = 0.0) -> FeedStatus:
    at = int((time.time() - age) * 1000)
    return FeedStatus(state=state, since=at, at=at, sockets=3, wanted=4)


@pytest.fixture
def market() -> Iterator[Hub]:
    """The hub of this process, new and empty."""
    hub.cache_clear()
    yield hub()
    hub.cache_clear()


@pytest.fixture
def full_market(market: Hub) -> Hub:
    market.apply({"tBTCUSD": ROW}, status(), time.monotonic(), full=True)
    return market


def test_a_process_that_answers_is_alive(client: Client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})
    assert "no-store" in answer["Cache-Control"]


# --- Readiness ------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
async def test_a_process_with_prices_is_ready(full_market: Hub, async_client: AsyncClient):
    answer = await async_client.get("/readyz")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["ready"], told["reason"], told["feed"]["state"]) == (True, "", "live")
    assert 0 <= told["feed"]["age"] < 5


@pytest.mark.django_db(transaction=True)
async def test_an_exchange_that_is_away_takes_no_page_off_the_air(
    full_market: Hub, async_client: AsyncClient
):
    full_market.apply({}, status("offline"), time.monotonic())
    answer = await async_client.get("/readyz")
    assert (answer.status_code, answer.json()["feed"]["state"]) == (200, "offline")


@pytest.mark.django_db(transaction=True)
async def test_a_process_that_heard_of_no_feed_is_not_ready(market: Hub, async_client: AsyncClient):
    answer = await async_client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["reason"] == "feed: no prices yet"


def test_a_silent_feed_is_not_ready(full_market: Hub):
    full_market.apply({}, status(age=40), time.monotonic())
    assert health.feed_failure(full_market) == "feed: silent for 40 s"


async def test_a_part_that_fails_is_named_without_its_secrets():
    async def away() -> None:
        raise ConnectionRefusedError("redis://user:secret@host")

    assert await health.failure("channel layer", away) == "channel layer: ConnectionRefusedError"


async def test_a_part_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    async def hang() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.01)
    assert await health.failure("database", hang) == "database: TimeoutError"


async def test_probing_the_channel_layer_leaves_nothing_behind():
    layer = get_channel_layer()
    for _ in range(3):
        await health.ask_channel_layer()
    assert not [name for name in channels_of(layer) if "ready" in name]


def channels_of(layer: Any) -> Any:
    return layer._get_layer().channels if hasattr(layer, "_get_layer") else layer.channels


# --- Figures --------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
async def test_the_figures_are_prometheus_text(full_market: Hub, async_client: AsyncClient):
    answer = await async_client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    lines = answer.content.decode().splitlines()
    for line in (
        'bfxdash_feed_state{state="live"} 1.0',
        'bfxdash_feed_state{state="offline"} 0.0',
        "bfxdash_feed_sockets 3.0",
        "bfxdash_feed_sockets_wanted 4.0",
        "bfxdash_symbols 1.0",
        "bfxdash_browsers 0.0",
        "bfxdash_browsers_dropped_total 0.0",
        "bfxdash_limiter_open 1.0",
        "bfxdash_blocked_seconds 0.0",
    ):
        assert line in lines
    assert any(line.startswith("# TYPE bfxdash_limiter_wait_seconds histogram") for line in lines)


def figures(market: Hub, counts: dict[str, int], state: limiter.State | None) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(health.Figures(market, counts, state))
    return generate_latest(registry).decode()


def test_budgets_are_shown_by_endpoint_and_lane(market: Hub):
    book = limiter.Budget("book", limit=90, window=60, left=5, left_urgent=7)
    text = figures(market, {}, limiter.State("home", 12.5, [book]))
    assert 'bfxdash_budget_left{endpoint="book",lane="all"} 5.0' in text
    assert 'bfxdash_budget_left{endpoint="book",lane="urgent"} 7.0' in text
    assert "bfxdash_blocked_seconds 12.5" in text


def test_figures_come_without_the_database_too(market: Hub):
    text = figures(market, {}, None)
    assert "bfxdash_limiter_open 0.0" in text
    assert "bfxdash_blocked_seconds" not in text


def test_the_feed_of_this_process_is_counted(market: Hub):
    health.count_feed(lambda: {"frames_dropped": 2})
    try:
        text = figures(market, dict(health._feed_counts()), None)
    finally:
        health.count_feed(dict)
    assert 'bfxdash_feed_events_total{event="frames_dropped"} 2.0' in text


async def test_budgets_are_none_when_the_database_hangs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(limiter, "state", lambda: time.sleep(0.5))
    assert await health.budgets() is None


def asking(address: str, **headers: str) -> HttpRequest:
    return RequestFactory(headers=headers).get("/metrics", REMOTE_ADDR=address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_without_a_token_this_machine_may_read_the_figures(address: str):
    assert health.may_read_metrics(asking(address))


@pytest.mark.parametrize("address", ["10.0.0.7", "", "unix"])
def test_without_a_token_nobody_else_may(address: str):
    assert not health.may_read_metrics(asking(address))


def test_a_proxy_we_do_not_know_of_opens_nothing(settings: Settings):
    request = asking("127.0.0.1", X_Forwarded_For="10.0.0.7")
    assert not health.may_read_metrics(request)
    settings.BFX_TRUSTED_PROXIES = 1
    assert health.may_read_metrics(request)


def test_with_a_token_only_the_token_opens(settings: Settings):
    settings.BFX_METRICS_TOKEN = "correct"
    assert health.may_read_metrics(asking("10.0.0.7", Authorization="Bearer correct"))
    assert not health.may_read_metrics(asking("10.0.0.7", Authorization="Bearer wrong"))
    assert not health.may_read_metrics(asking("127.0.0.1"))


async def test_strangers_get_no_figures(async_client: AsyncClient, settings: Settings):
    settings.BFX_METRICS_TOKEN = "correct"
    assert (await async_client.get("/metrics")).status_code == 403
    answer = await async_client.post("/healthz")
    assert answer.status_code == 405
