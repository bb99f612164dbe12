"""What the exchange may do to the feed: each fault has a state that people understand, no row ever
claims too much, and everything comes back by itself.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from market.bitfinex.pacing import Pace, connect_timeout
from market.feed.ports import Timing
from market.quotes import Source
from tests import servers
from tests.feeds import Web, fed_by
from tests.market.feed.fakes import FakeClock, until

pytestmark = pytest.mark.django_db(transaction=True)

RATES = {"window": 4}  # the budgets of a minute, in four seconds
QUICK = Timing(
    step=0.02,
    pace=Pace(floor=0.3, first=0.2, cap=1.0),
    refresh=0.5,
    flush=0.02,
    connect=connect_timeout(RATES["window"]),
)
AT_ONCE = 10.0  # on the busiest machine; silence alone would show a loss after 35 s


@pytest.fixture
async def exchange(
    start_exchange: Callable[..., servers.Exchange], settings: Settings
) -> servers.Exchange:
    settings.BFX_RATES = RATES
    return await asyncio.to_thread(start_exchange, BFX_RATES=json.dumps(RATES))


class Faults:
    """The exchange's control port, without holding up the loop."""

    def __init__(self, exchange: servers.Exchange) -> None:
        self.exchange = exchange

    async def __call__(self, kind: str, **arguments: Any) -> None:
        await asyncio.to_thread(self.exchange.fault, kind=kind, **arguments)

    async def counters(self) -> dict[str, Any]:
        return await asyncio.to_thread(self.exchange.counters)


@pytest.fixture
async def fault(exchange: servers.Exchange) -> AsyncIterator[Faults]:
    """Injects faults; afterwards the exchange must not have one violation to complain of."""
    faults = Faults(exchange)
    yield faults
    assert (await faults.counters())["violations"] == {}


@asynccontextmanager
async def all_live(exchange: servers.Exchange, **parts: Any) -> AsyncIterator[Web]:
    async with fed_by(exchange, **{"timing": QUICK, **parts}) as web:
        await until(lambda: web.all_live() and web.shows("live")())
        yield web


async def test_a_reset_connection_is_stale_at_once_and_live_again(
    exchange: servers.Exchange, fault: Faults
) -> None:
    async with all_live(exchange) as web:
        await fault("reset", connections=1)
        await until(lambda: 0 < web.sources()[Source.STALE] <= 25, AT_ONCE)
        assert web.shows("connecting", "1 of 15 connections to come")()
        await until(lambda: web.all_live() and web.shows("live")())


async def test_all_connections_reset_is_said_to_be_lost_and_comes_back(
    exchange: servers.Exchange, fault: Faults
) -> None:
    async with all_live(exchange) as web:
        await fault("reset")
        await until(web.shows("stale", "the connection to Bitfinex is lost"), AT_ONCE)
        assert web.status["retry_at"] is not None
        await until(lambda: web.all_live() and web.shows("live")())
        assert web.counters.connections_lost == 15


async def test_a_clean_close_earns_no_quicker_return(
    exchange: servers.Exchange, fault: Faults
) -> None:
    async with all_live(exchange) as web:
        began = asyncio.get_running_loop().time()
        await fault("close", code=1000, connections=1)
        await until(lambda: web.counters.connects == 16)
        assert asyncio.get_running_loop().time() - began >= QUICK.pace.floor


async def test_a_restart_of_the_exchange_is_waited_out(
    exchange: servers.Exchange, fault: Faults
) -> None:
    async with all_live(exchange) as web:
        await fault("info", code=20051)
        await until(lambda: web.counters.connections_lost == 15, AT_ONCE)
        await until(lambda: web.all_live() and web.shows("live")())


async def test_an_exchange_that_went_away_leaves_the_last_values_marked_stale(
    exchange: servers.Exchange, fault: Faults
) -> None:
    async with all_live(exchange) as web:
        await asyncio.to_thread(exchange.kill)
        await until(web.shows("offline", "cannot reach Bitfinex"))
        assert web.status["retry_at"] is not None
        assert set(web.sources()) == {Source.STALE}
        assert all(row[1] is not None for row in web.rows.values())
        await asyncio.to_thread(exchange.start)
        await until(lambda: web.all_live() and web.shows("live")())


async def test_a_refused_handshake_is_out_of_reach_until_it_is_not(
    exchange: servers.Exchange, fault: Faults
) -> None:
    await fault("refuse", status=503, times=3)
    async with fed_by(exchange, timing=QUICK) as web:
        await until(web.shows("offline", "cannot reach Bitfinex"))
        await until(lambda: set(web.sources()) == {Source.SNAPSHOT})
        await until(lambda: web.all_live() and web.shows("live")())


async def test_too_many_connections_pauses_everybody_for_a_window(
    exchange: servers.Exchange, fault: Faults
) -> None:
    await fault("refuse", status=429, times=1)
    async with fed_by(exchange, timing=QUICK) as web:
        await until(web.shows("connecting", "Bitfinex limits new connections"))
        refused = asyncio.get_running_loop().time()
        assert web.counters.connects == 1
        await until(lambda: web.counters.connects == 2)
        assert asyncio.get_running_loop().time() - refused >= RATES["window"]
        await until(lambda: web.all_live() and web.shows("live")())
        assert web.counters.connects_limited == 1


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "status", "status": 502},
        {"kind": "truncate"},
        {"kind": "cut"},
        {"kind": "body", "body": "", "status": 200},
        {"kind": "body", "size": 3_000_000, "status": 200},
    ],
    ids=lambda trouble: trouble["kind"],
)
async def test_a_broken_rest_answer_at_the_start_is_got_over(
    exchange: servers.Exchange, fault: Faults, trouble: dict[str, Any]
) -> None:
    await fault(**trouble, times=4)
    async with fed_by(exchange, timing=QUICK) as web:
        await until(web.shows("offline", "cannot reach Bitfinex"))
        await until(lambda: web.all_live() and web.shows("live")())
        assert web.counters.rest_errors >= 2


async def test_malformed_frames_are_counted_and_never_reach_a_row(
    exchange: servers.Exchange, fault: Faults
) -> None:
    async with all_live(exchange) as web:
        for _ in range(3):
            await fault("malformed")
        await until(lambda: web.counters.frames_dropped > 20)
        await until(lambda: web.counters.connections_lost == 15)
        await until(lambda: web.all_live() and web.shows("live")())
        assert all(isinstance(row[1], int | float) for row in web.rows.values())


async def test_a_gap_in_the_sequence_is_noticed_and_every_channel_renewed(
    exchange: servers.Exchange, fault: Faults
) -> None:
    async with all_live(exchange) as web:
        await fault("gap", connections=1, count=3)
        await until(lambda: web.counters.frames_lost == 3)
        await until(lambda: web.counters.resubscribed == 25)
        await until(lambda: web.all_live() and web.shows("live")())
        assert web.counters.connects == 15


async def test_data_before_its_acknowledgement_does_no_harm(
    exchange: servers.Exchange, fault: Faults
) -> None:
    await fault("early", times=50)
    async with all_live(exchange) as web:
        assert web.counters.connects == 15


@pytest.mark.parametrize("rest", [False, True])
async def test_maintenance_has_its_own_words_and_ends_by_itself(
    exchange: servers.Exchange, fault: Faults, rest: bool
) -> None:
    async with all_live(exchange) as web:
        await fault("maintenance", on=True, rest=rest)
        await until(web.shows("stale", "Bitfinex is in maintenance"))
        await until(lambda: set(web.sources()) == {Source.STALE})
        await asyncio.sleep(1)
        assert set(web.sources()) == {Source.STALE}
        await fault("maintenance", on=False)
        await until(lambda: web.all_live() and web.shows("live")())
        assert web.counters.connects == 15


async def test_a_start_in_maintenance_says_so(exchange: servers.Exchange, fault: Faults) -> None:
    await fault("maintenance", on=True, rest=True)
    async with fed_by(exchange, timing=QUICK) as web:
        await until(web.shows("offline", "Bitfinex is in maintenance"))
        await fault("maintenance", on=False)
        await until(lambda: web.all_live() and web.shows("live")())


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_jump_of_the_wall_clock_only_moves_the_dates(
    exchange: servers.Exchange, fault: Faults, hours: int
) -> None:
    clock = FakeClock()
    async with all_live(exchange, clock=clock) as web:
        clock.wall_ahead = hours * 3600
        newest = clock.wall_ms() - 1000
        await until(lambda: any(abs(row[9] - newest) < 60_000 for row in web.rows.values()))
        assert web.shows("live")()
        assert web.all_live()
        assert web.counters.connects == 15


@pytest.mark.full
async def test_a_half_open_socket_is_found_within_35_seconds(
    exchange: servers.Exchange, fault: Faults
) -> None:
    timing = replace(QUICK, silence=35.0, refresh=15.0)
    async with all_live(exchange, timing=timing) as web:
        began = asyncio.get_running_loop().time()
        await fault("half_open", connections=1)
        await until(lambda: web.counters.connections_lost == 1, 40)
        assert asyncio.get_running_loop().time() - began <= 37
        await until(lambda: web.all_live() and web.shows("live")())


DYING = """
import asyncio, django
django.setup()
from channels.layers import get_channel_layer
from market.conf import exchange
from market.feed.runner import Feed
from market.management.commands.feed import run_until_signalled

class Rest:
    async def pairs(self): raise ZeroDivisionError("a bug of our own")
    tickers = operative = pairs

class Ledger:
    async def hold(self, range_, ttl): return True
    async def load_quotes(self, range_): return {}
    async def release(self, range_): pass

asyncio.run(run_until_signalled(
    Feed(exchange(), get_channel_layer(), rest=Rest(), ledger=Ledger())
))
"""


async def test_a_feed_that_dies_ends_its_process_with_an_error_and_the_reason(
    tmp_path: Path,
) -> None:
    environ = servers.clean_environment() | {
        "BFX_DATA_DIR": str(tmp_path),
        "SECRET_KEY": servers.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "bfxdash.settings",
    }
    run = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", DYING],
        env=environ,
        cwd=servers.ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 1
    assert "ZeroDivisionError: a bug of our own" in run.stderr
