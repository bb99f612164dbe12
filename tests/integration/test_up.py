"""`manage.py up` as its user meets it: one command, a page with prices, a clean end."""

import json
import re
import signal
import stat
import time
from contextlib import ExitStack
from functools import partial
from random import Random

import psutil
import pytest
import requests

from tests.servers import Dashboard, Redis, free_port

REPLAYED = "ws_public/2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"
DEAD = "127.0.0.1:9"  # nobody listens on the discard port
QUICK_RATES = json.dumps({"window": 6})  # 20 connections in 6 s, and so on


@pytest.fixture(scope="module")
def starter(profile, request, start_dashboard_for, tmp_path_factory):
    """`starter(ending, "--live")`: runs `up`, on the database and layer of the profile, until the
    end of `ending`.
    """

    def start(
        ending: ExitStack, *options: str, exchange: object = None, **environ: str
    ) -> Dashboard:
        if profile == "scaled":
            postgres = request.getfixturevalue("postgres")
            environ["DATABASE_URL"] = postgres.make_database(f"up_{free_port()}")
            redis = Redis()
            ending.callback(redis.stop)
            environ["REDIS_URL"] = redis.url
        folder = tmp_path_factory.mktemp("up")
        how = {"profile": "embedded", "options": options, **environ}
        dashboard: Dashboard = start_dashboard_for(ending, folder, exchange, **how)
        return dashboard

    return start


@pytest.fixture
def start_up(starter):
    """`start_up("--live", BFX_EGRESS="b")`: until the end of the test."""
    with ExitStack() as ending:
        yield partial(starter, ending)


@pytest.fixture(scope="module")
def up(starter):
    """With everything it starts by itself. Not to be harmed."""
    with ExitStack() as ending:
        up = starter(ending)
        up.wait_ready()
        yield up


@pytest.fixture
def mortal_up(start_up):
    up = start_up()
    up.wait_ready()
    return up


@pytest.fixture
def refused(tmp_path):
    """What `up` says when it does not start."""

    def refused(*options: str, **environ: str) -> str:
        child = Dashboard(tmp_path, None, **environ).manage("up", "up", *options)
        child.process.wait(60)
        assert child.close() == 1
        return child.log

    return refused


def sandbox_of(up: Dashboard) -> psutil.Process:
    """The child that `up` keeps beside it."""
    (sandbox,) = psutil.Process(up.children["web"].pid).children()
    return sandbox


def gone(process: psutil.Process, seconds: float = 15) -> bool:
    return process in psutil.wait_procs([process], timeout=seconds)[0]


def rows(url: str) -> dict[str, str]:
    """The symbols of the page, with their rows' text."""
    page = requests.get(url, timeout=5).text
    return dict(re.findall(r'<tr[^>]*data-symbol="([^"]+)"(.*?)</tr>', page, re.DOTALL))


def state(url: str) -> str:
    page = requests.get(url, timeout=5).text
    (shown,) = re.findall(r'data-feed-state="(\w+)"', page)
    return str(shown)


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def test_it_says_where_the_page_is_and_that_prices_are_made_up(up):
    wait_until(lambda: "stop with Ctrl-C" in up.log)
    assert f"bfxdash   {up.url}\n" in up.log
    assert "mode      SANDBOX, made-up prices from http://127.0.0.1:" in up.log
    assert 'data-exchange="sandbox"' in requests.get(up.url, timeout=5).text


def test_the_page_shows_every_pair_of_the_exchange(up):
    wait_until(lambda: len(rows(up.url)) > 300)
    assert {"tBTCUSD", "tETHUSD", "fUSD"} <= rows(up.url).keys()
    assert 'data-field="last" data-value="' in rows(up.url)["tBTCUSD"]


@pytest.mark.once
def test_what_it_keeps_is_for_its_owner_only(up):
    for name in (".", "keys", "db", "keys/secret_key"):
        assert stat.S_IMODE((up.data / name).stat().st_mode) & 0o077 == 0, name


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_and_leaves_nobody_behind(mortal_up, by):
    sandbox = sandbox_of(mortal_up)
    assert mortal_up.children["web"].stop(with_signal=by) == 0
    assert gone(sandbox)
    assert "Traceback" not in mortal_up.log


@pytest.mark.once
def test_a_sudden_death_leaves_nobody_behind(mortal_up):
    sandbox = sandbox_of(mortal_up)
    mortal_up.children["web"].kill()
    assert gone(sandbox)


@pytest.mark.once
def test_death_of_the_sandbox_stops_it_with_the_reason(mortal_up):
    sandbox_of(mortal_up).kill()
    assert mortal_up.children["web"].process.wait(30) == 1
    assert "the sandbox exchange ended by itself (exit status -9)" in mortal_up.log


@pytest.mark.once
def test_a_second_start_goes_on_with_the_same_data(start_up, tmp_path):
    first = start_up("--data-dir", str(tmp_path / "kept"))
    first.wait_ready()
    secret = (tmp_path / "kept" / "keys" / "secret_key").read_text()
    first.stop()
    start_up("--data-dir", str(tmp_path / "kept")).wait_ready()
    assert (tmp_path / "kept" / "keys" / "secret_key").read_text() == secret


@pytest.mark.once
def test_two_at_once_leave_each_other_alone(up, start_up):
    other = start_up()
    other.wait_ready()
    assert len(rows(other.url)) == len(rows(up.url))


@pytest.mark.once
def test_a_recording_is_replayed_with_its_own_pairs(start_up, recordings):
    up = start_up("--replay", str(recordings / REPLAYED))
    wait_until(lambda: len(rows(up.url)) == 8)
    wait_until(lambda: "mode      REPLAY of " in up.log)


@pytest.mark.once
def test_a_port_that_is_taken_is_named(up, refused):
    port = up.url.rpartition(":")[2]
    said = refused("--port", port)
    assert f"cannot start: --port: port {port} on 127.0.0.1 is taken, choose another one" in said


@pytest.mark.once
def test_unsafe_settings_stop_it_with_the_name_of_the_variable(refused):
    said = refused("--port", str(free_port()), ALLOWED_HOSTS="*")
    assert "ALLOWED_HOSTS contains '*'" in said
    assert "Traceback" not in said


@pytest.mark.once
def test_live_mode_works_wherever_the_addresses_point(start_up, exchange_server):
    """The real exchange by its variables: here they name the sandbox."""
    up = start_up("--live", exchange=exchange_server)
    up.wait_ready()
    wait_until(lambda: len(rows(up.url)) > 300)
    assert 'data-exchange="live"' in requests.get(up.url, timeout=5).text
    assert "mode      LIVE, the real exchange at " in up.log
    assert exchange_server.counters()["violations"] in (0, {}, [])


def test_live_mode_without_the_exchange_says_so_and_shows_no_invented_price(start_up):
    rest, ws = f"http://{DEAD}", f"ws://{DEAD}/ws/2"
    addresses = {"BFX_PUBLIC_REST_URL": rest, "BFX_REST_URL": rest}
    addresses |= {"BFX_PUBLIC_WS_URL": ws, "BFX_WS_URL": ws}
    up = start_up("--live", **addresses)
    wait_until(lambda: state(up.url) == "offline")
    page = requests.get(up.url, timeout=5).text
    assert "cannot reach Bitfinex" in page
    assert rows(up.url) == {}
    assert psutil.Process(up.children["web"].pid).children() == []  # no sandbox stands in


@pytest.mark.once
def test_last_known_values_are_stale_when_the_exchange_is_away(start_up, exchange_server, tmp_path):
    kept = ("--data-dir", str(tmp_path / "kept"))
    first = start_up("--live", *kept, exchange=exchange_server)
    wait_until(lambda: len(rows(first.url)) > 300)
    first.stop()
    exchange_server.kill()
    second = start_up("--live", *kept, exchange=exchange_server)
    wait_until(lambda: state(second.url) == "offline")
    assert len(rows(second.url)) > 300


@pytest.mark.once
@pytest.mark.parametrize(
    ("kills", "rates"), [(3, QUICK_RATES), pytest.param(10, "{}", marks=pytest.mark.full)]
)
def test_kill_after_kill_never_exceeds_what_the_exchange_allows(
    start_up, start_exchange, tmp_path, kills, rates
):
    """The real limits in the full size, where ten starts and deaths take less than a minute."""
    exchange = start_exchange(BFX_RATES=rates)
    rng, began = Random(3), time.monotonic()
    for _ in range(kills):
        up = start_up("--live", "--data-dir", tmp_path, exchange=exchange, BFX_RATES=rates)
        up.wait_ready()
        time.sleep(rng.uniform(0, 2))
        up.children["web"].kill()
    counters = exchange.counters()
    print({"seconds": round(time.monotonic() - began, 1), "counters": counters})
    assert counters["violations_total"] == counters["connections"]["refused"] == 0
    assert counters["connections"]["most_in_a_window"] <= 20
    assert counters["connections"]["opened"] >= kills, "too few attempts to prove anything"
    start_up("--live", "--data-dir", tmp_path, exchange=exchange, BFX_RATES=rates)
    wait_until(lambda: exchange.counters()["connections"]["open"] == 15, seconds=100)
    assert exchange.counters()["violations_total"] == 0
