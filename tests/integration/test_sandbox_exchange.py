"""The sandbox on real loopback sockets, as clients that nobody here wrote see it."""

import argparse
import asyncio
import gzip
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from market.sandbox.app import Exchange, add_options, run
from market.sandbox.replay import Recording, Replay
from market.sandbox.rules import Rates
from market.sandbox.state import Market
from market.sandbox.topics import Source

SYMBOLS = ("tBTCUSD", "tETHUSD", "fUSD")
ROOT = Path(__file__).resolve().parents[2]


class Client:
    """HTTP and WebSocket clients of one running exchange."""

    def __init__(self, port: int, control: int, http: aiohttp.ClientSession) -> None:
        self.base, self.control = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{control}"
        self.ws_url = f"ws://127.0.0.1:{port}/ws/2"
        self.http = http

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(self.base + path) as reply:
            return reply.status, await reply.text()

    async def fault(self, **fault: Any) -> None:
        async with self.http.post(f"{self.control}/faults", json=fault) as reply:
            assert reply.status == 200, await reply.text()

    async def price(self, price: float) -> None:
        order = {"symbol": "tBTCUSD", "price": price}
        async with self.http.post(f"{self.control}/price", json=order) as reply:
            assert await reply.json() == {"symbol": "tBTCUSD", "last": price}

    async def controls(self, path: str) -> Any:
        async with self.http.get(self.control + path) as reply:
            return await reply.json()

    @asynccontextmanager
    async def socket(self, *channels: str, flags: int = 0) -> AsyncIterator[ClientConnection]:
        """A socket that subscribed to channels of tBTCUSD and read up to their first data."""
        async with connect(self.ws_url) as ws:
            await ws.recv()
            await ws.send(json.dumps({"event": "conf", "flags": flags}))
            await ws.recv()
            for channel in channels:
                await subscribe(ws, channel)
                await ws.recv()
                await ws.recv()
            yield ws


async def subscribe(ws: ClientConnection, channel: str, symbol: str = "tBTCUSD") -> None:
    await ws.send(json.dumps({"event": "subscribe", "channel": channel, "symbol": symbol}))


async def heard(ws: ClientConnection, seconds: float = 2.0) -> Any:
    return json.loads(await asyncio.wait_for(ws.recv(), seconds))


Start = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
async def start() -> Start:
    """`async with start(rates="…", source=…) as client`: an exchange in this process."""

    @asynccontextmanager
    async def running(
        rates: str = "", source: Source | None = None, state: Path | None = None
    ) -> AsyncIterator[Client]:
        market = source or Market(1, time.time(), SYMBOLS)
        exchange = Exchange(market, Rates.read(rates), seed=1, state=state)
        exchange.load()
        async with exchange.serving(0, None) as ports, aiohttp.ClientSession() as http:
            yield Client(*ports, http)

    return running


@pytest.fixture
async def client(start: Start) -> AsyncIterator[Client]:
    async with start() as client:
        yield client


async def test_rest_answers_json_with_a_date(client: Client) -> None:
    async with client.http.get(f"{client.base}/v2/tickers?symbols=ALL") as reply:
        assert [row[0] for row in await reply.json()] == list(SYMBOLS)
        age = time.time() - parsedate_to_datetime(reply.headers["Date"]).timestamp()
        assert abs(age) < 3


async def test_symbols_may_be_escaped_in_the_path(client: Client) -> None:
    status, body = await client.get("/v2/candles/trade%3A1h%3AtBTCUSD/hist?limit=2")

    assert (status, len(json.loads(body))) == (200, 2)


async def test_unknown_paths_and_a_plain_get_of_the_socket_are_404_pages(client: Client) -> None:
    for path in ("/v2/nope", "/", "/ws/2"):
        status, body = await client.get(path)
        assert (status, f"Cannot GET /api{path}" in body) == (404, True)


async def test_a_subscriber_gets_its_ack_its_snapshot_and_then_updates(client: Client) -> None:
    async with connect(client.ws_url, max_queue=None) as ws:
        assert (await heard(ws))["event"] == "info"
        await subscribe(ws, "book")
        channel = (await heard(ws))["chanId"]
        assert len((await heard(ws))[1]) == 50
        await client.price(61000)
        number, (price, count, amount) = await heard(ws)
        assert (number, count) == (channel, 0), "a level that the jump crossed is deleted"
        assert amount in (1, -1)
        assert price > 0


async def test_a_set_price_is_the_last_price_everywhere(client: Client) -> None:
    async with client.socket("trades") as ws:
        await client.price(61234)
        trade = await heard(ws)
        while trade[2][3] != 61234:
            trade = await heard(ws)
        assert trade[1] == "te"
    _, body = await client.get("/v2/ticker/tBTCUSD")
    assert json.loads(body)[6] == pytest.approx(61234, rel=0.001)


async def test_bad_control_requests_say_why(client: Client) -> None:
    for path, body in (("faults", "{}"), ("faults", "["), ("price", '{"symbol": "tNOPE"}')):
        async with client.http.post(f"{client.control}/{path}", data=body) as reply:
            assert reply.status == 400
            assert (await reply.json())["error"]
    assert "no recording" in (await client.controls("/replay"))["error"]


async def test_too_many_requests_are_429_for_every_endpoint_until_the_block_ends(
    start: Start,
) -> None:
    async with start('{"window": 0.4, "rates": {"conf": 1}}') as client:
        statuses = [(await client.get("/v2/conf/pub:list:currency"))[0] for _ in range(2)]
        assert statuses == [200, 429]
        assert await client.get("/v2/platform/status") == (429, '{"error":"ERR_RATE_LIMIT"}')
        await asyncio.sleep(0.45)
        assert await client.get("/v2/platform/status") == (200, "[1]")
        counters = await client.controls("/counters")
        assert counters["violations"] == {"rest_rate": 1, "rest_blocked": 1}
        assert counters["requests_while_blocked"] == 1


async def test_too_many_sockets_are_refused_with_429(start: Start) -> None:
    async with start('{"ws": 1}') as client, client.socket():
        with pytest.raises(InvalidStatus) as refusal:
            await connect(client.ws_url)
        assert refusal.value.response.status_code == 429
        counters = await client.controls("/counters")
        assert counters["connections"] == {
            "opened": 1, "refused": 1, "most_in_a_window": 2, "open": 1,
        }  # fmt: skip


async def test_the_channel_over_the_limit_leaves_the_socket_open(start: Start) -> None:
    async with start('{"channels": 1}') as client, client.socket("trades") as ws:
        await subscribe(ws, "ticker")
        reply = await heard(ws)
        while isinstance(reply, list):
            reply = await heard(ws)
        assert reply["code"] == 10305
        await (await ws.ping())


async def test_penalties_survive_a_restart(start: Start, tmp_path: Path) -> None:
    async with start('{"rates": {"conf": 0}}', state=tmp_path / "state") as client:
        await client.get("/v2/conf/pub:list:currency")
    async with start(state=tmp_path / "state") as client:
        assert (await client.get("/v2/platform/status"))[0] == 429


async def test_a_recording_is_heard_frame_by_frame(start: Start, recordings: Path) -> None:
    path = recordings / "ws_public/2021-04-05_cryptofeed_8pairs_seq.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        entries = [json.loads(line) for line in lines]
    raws = [entry["raw"] for entry in entries if entry["dir"] == "in"]
    ack = next(r for r in raws if '"channel":"trades"' in r and '"symbol":"tETHJPY"' in r)
    number = f"[{json.loads(ack)['chanId']},"
    recorded = [raw[len(number) :] for raw in raws if raw.startswith(number) and '"hb"' not in raw]

    async with (
        start(source=Replay(Recording.read(path), speed=200.0)) as client,
        client.socket(flags=65536) as ws,
    ):
        await subscribe(ws, "trades", "tETHJPY")
        channel = f"[{(await heard(ws))['chanId']},"
        texts = [str(await asyncio.wait_for(ws.recv(), 2)) for _ in recorded]
        bodies = [text.removeprefix(channel).rpartition(",") for text in texts]
        assert [body for body, _, _ in bodies] == [text.rpartition(",")[0] for text in recorded]
        assert [number for _, _, number in bodies] == [f"{i + 1}]" for i in range(len(texts))]
        while not (await client.controls("/replay"))["done"]:
            await asyncio.sleep(0.02)


async def test_a_silent_socket_answers_pings_and_nothing_else(client: Client) -> None:
    async with client.socket() as ws:
        await client.fault(kind="silence")
        await ws.send('{"event":"ping","cid":1}')
        await (await ws.ping())
        with pytest.raises(TimeoutError):
            await heard(ws, 0.2)
        await client.http.delete(f"{client.control}/faults")
        with pytest.raises(ConnectionClosedError):
            await heard(ws)


async def test_a_half_open_socket_answers_nothing_at_all(client: Client) -> None:
    async with connect(client.ws_url, close_timeout=0.1) as ws:
        await ws.recv()
        await client.fault(kind="half_open")
        pong = await ws.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 0.3)
        await client.http.delete(f"{client.control}/faults")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(ws.recv(), 2)


async def test_connections_can_be_reset_or_closed_with_a_code(client: Client) -> None:
    async with client.socket() as ws:
        await client.fault(kind="reset")
        with pytest.raises(ConnectionClosedError) as reset:
            await ws.recv()
        assert reset.value.rcvd is None, "no close frame"
    async with client.socket() as ws:
        await client.fault(kind="close", code=1012, reason="restart")
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


async def test_handshakes_can_be_refused_with_a_status(client: Client) -> None:
    await client.fault(kind="refuse", status=503)

    with pytest.raises(InvalidStatus) as refusal:
        await connect(client.ws_url)
    assert refusal.value.response.status_code == 503
    async with client.socket():
        pass


async def test_broken_frames_arrive_as_they_are(client: Client) -> None:
    async with client.socket() as ws:
        await client.fault(kind="malformed", frames=["json", "empty"])
        assert [await ws.recv(), await ws.recv()] == ["[1,[0.1,", "[]"]
        await client.fault(kind="info", code=20061)
        assert (await heard(ws))["code"] == 20061


async def test_rest_replies_can_be_late_broken_or_cut_off(client: Client) -> None:
    path = "/v2/tickers?symbols=ALL"
    await client.fault(kind="status", status=502)
    assert (await client.get(path))[0] == 502
    await client.fault(kind="truncate")
    status, body = await client.get(path)
    assert (status, body.startswith('[["tBTCUSD",'), body.endswith("]]")) == (200, True, False)
    await client.fault(kind="cut")
    with pytest.raises(aiohttp.ClientError):
        await client.get(path)
    await client.fault(kind="slow", seconds=0.2)
    before = time.monotonic()
    assert (await client.get(path))[0] == 200
    assert time.monotonic() - before >= 0.2


async def test_maintenance_is_told_by_rest_and_by_socket(client: Client) -> None:
    await client.fault(kind="maintenance")

    assert await client.get("/v2/platform/status") == (200, "[0]")
    async with connect(client.ws_url) as ws:
        assert (await heard(ws))["platform"] == {"status": 0}


def test_the_process_says_when_it_is_ready_and_ends_with_its_parent() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "market.sandbox", "--port", "0", "--exit-with-parent"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        words = child.stdout.readline().split()
        assert words[:2] + words[3:4] == ["sandbox", "ready", "control"]
        child.stdin.close()
        assert child.wait(5) == 0


def started(*options: str) -> int:
    """The exit status of a start in this process that is expected to fail."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return run(parser.parse_args(options))


@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--rates", "{"], "BFX_RATES"), (["--replay", "/nowhere.jsonl"], "/nowhere.jsonl")],
)
def test_a_start_that_cannot_be_says_why(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(*options) == 1
    assert reason in capsys.readouterr().err


def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert started("--port", port) == 1
    assert port in capsys.readouterr().err
