"""For machines that watch this one: is the process alive, may it have visitors, and its figures.

None of the three needs a login. `/readyz` speaks of this process alone: while the exchange is away
the pages say so themselves, and no balancer should take them off the air for it.
"""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, get_args

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from market import limiter
from market.bitfinex.errors import LimiterClosed
from market.feeds import SILENCE_SECONDS
from market.hub import Hub, hub
from market.quotes import FeedState

ANSWER_SECONDS = 2.0
"""How long the database and the channel layer may take."""

_feed_counts: Callable[[], Mapping[str, int]] = dict


def count_feed(counts: Callable[[], Mapping[str, int]]) -> None:
    """Let `/metrics` show the counters of the feed that runs in this process."""
    global _feed_counts
    _feed_counts = counts


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"alive": True})


@require_safe
@never_cache
async def readyz(request: HttpRequest) -> HttpResponse:
    """200 when pages can be served truthfully, else 503 with the reason."""
    status = hub().status
    age = feed_age(hub())
    reasons = [
        *await asyncio.gather(
            failure("database", sync_to_async(ask_database, thread_sensitive=False)),
            failure("channel layer", ask_channel_layer),
        ),
        feed_failure(hub()),
    ]
    reason = "; ".join(filter(None, reasons))
    answer = {"ready": not reason, "reason": reason, "feed": {"state": status.state, "age": age}}
    return JsonResponse(answer, status=503 if reason else 200)


@require_safe
@never_cache
async def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for whoever has the token, or this machine alone when there is none."""
    if not may_read_metrics(request):
        return HttpResponse("not yours\n", status=403, content_type="text/plain")
    with_ours = CollectorRegistry(auto_describe=False)
    with_ours.register(Figures(hub(), _feed_counts(), await budgets()))
    text = generate_latest(REGISTRY) + generate_latest(with_ours)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


# --- Readiness ------------------------------------------------------------------------------------
async def failure(name: str, ask: Callable[[], Awaitable[None]]) -> str:
    """Why this part is not ready, or an empty text."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await ask()
    except Exception as error:  # noqa: BLE001 - each part has its own for "away"
        return f"{name}: {type(error).__name__}"
    return ""


def ask_database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()  # this thread is not one of a web request


async def ask_channel_layer() -> None:
    """One message there and back."""
    layer = get_channel_layer()
    channel = await layer.new_channel("ready")
    await layer.send(channel, {"type": "ready.probe"})
    await layer.receive(channel)
    with suppress(TimeoutError):  # a layer forgets the channel of a reader that gives up
        async with asyncio.timeout(0):
            await layer.receive(channel)


def feed_failure(market: Hub) -> str:
    age = feed_age(market)
    if age is not None and age > SILENCE_SECONDS:
        return f"feed: silent for {age:.0f} s"
    return "" if market.complete else "feed: no prices yet"


def feed_age(market: Hub) -> float | None:
    """Seconds since the feed was last heard of, None before."""
    at = market.status.at
    return max(0.0, round(time.time() - at / 1000, 1)) if at else None


# --- Figures --------------------------------------------------------------------------------------
def may_read_metrics(request: HttpRequest) -> bool:
    token = settings.BFX_METRICS_TOKEN
    if token:
        given = request.headers.get("Authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {token}".encode())
    forwarded = {"X-Forwarded-For", "Forwarded"} & set(request.headers)
    return is_loopback(request.META.get("REMOTE_ADDR", "")) and not (
        forwarded and not settings.BFX_TRUSTED_PROXIES
    )


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def budgets() -> limiter.State | None:
    """The request budgets, None while the database is away."""

    def read() -> limiter.State:
        try:
            return limiter.state()
        finally:
            connection.close()

    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await sync_to_async(read, thread_sensitive=False)()
    except (LimiterClosed, TimeoutError):
        return None


class Figures(Collector):
    """What is read at the moment of asking; calls and waits are counted where they happen."""

    def __init__(
        self, market: Hub, feed_counts: Mapping[str, int], state: limiter.State | None
    ) -> None:
        self._market = market
        self._feed_counts = feed_counts
        self._state = state

    def collect(self) -> Iterator[Metric]:
        yield from self._feed()
        yield from self._browsers()
        yield from self._budgets()

    def _feed(self) -> Iterator[Metric]:
        status = self._market.status
        age = feed_age(self._market)
        if age is not None:
            yield gauge("feed_age_seconds", "Since the feed was last heard of", age)
        state = GaugeMetricFamily(
            "bfxdash_feed_state", "1 for the state it is in", labels=["state"]
        )
        for name in get_args(FeedState):
            state.add_metric([name], float(name == status.state))
        yield state
        yield gauge("feed_sockets", "Sockets open to the exchange", status.sockets)
        yield gauge("feed_sockets_wanted", "Sockets the plan wants", status.wanted)
        yield gauge("symbols", "Rows in the table", len(self._market.rows()))
        events = CounterMetricFamily(
            "bfxdash_feed_events", "What the feed in this process counted", labels=["event"]
        )
        for name, count in self._feed_counts.items():
            events.add_metric([name], count)
        yield events

    def _browsers(self) -> Iterator[Metric]:
        yield gauge("browsers", "Browsers connected to the tickers", self._market.readers)
        dropped = CounterMetricFamily("bfxdash_browsers_dropped", "Browsers too slow for 30 s")
        dropped.add_metric([], self._market.dropped)
        yield dropped

    def _budgets(self) -> Iterator[Metric]:
        state = self._state
        yield gauge("limiter_open", "1 while the request budgets can be read", state is not None)
        if state is None:
            return
        yield gauge("blocked_seconds", "Until the exchange serves us again", state.blocked_for)
        left = GaugeMetricFamily(
            "bfxdash_budget_left", "Requests left in the window", labels=["endpoint", "lane"]
        )
        for budget in state.budgets:
            left.add_metric([budget.endpoint, "all"], budget.left)
            left.add_metric([budget.endpoint, "urgent"], budget.left_urgent)
        yield left


def gauge(name: str, text: str, value: Any) -> Metric:
    return GaugeMetricFamily(f"bfxdash_{name}", text, value=float(value))
