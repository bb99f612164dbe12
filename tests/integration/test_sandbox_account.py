"""The sandbox's account half on real loopback sockets: keys, limits, faults, restarts."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from market.sandbox.app import Exchange
from market.sandbox.rules import Rates
from market.sandbox.state import Market
from tests import servers
from tests.market.sandbox.accounts import ALL, auth_event, headers

SUBMIT = "auth/w/order/submit"


async def read_to_the_end(ws: ClientConnection) -> None:
    async for _ in ws:
        pass


class Customer:
    """A running exchange with one key, over HTTP."""

    def __init__(self, ports: tuple[int, int], http: aiohttp.ClientSession) -> None:
        self.base, self.control = (f"http://127.0.0.1:{port}" for port in ports)
        self.ws_url = f"ws://127.0.0.1:{ports[0]}/ws/2"
        self.http = http
        self.key = self.secret = ""

    async def call(self, path: str, body: str = "{}", nonce: int = 0) -> tuple[int, Any]:
        given = headers(self.key, self.secret, path, body, nonce)
        url = f"{self.base}/v2/{path}"
        async with self.http.post(url, data=body, headers=given) as reply:
            text = await reply.text()
            return reply.status, json.loads(text) if reply.content_type.endswith("json") else text

    async def controls(self, method: str, path: str, **body: Any) -> Any:
        async with self.http.request(method, self.control + path, json=body) as reply:
            return reply.status, await reply.json()

    async def arrivals(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.controls("GET", f"/arrivals?key={self.key}"))[1][
            "arrivals"
        ]
        return found


@pytest.fixture
async def customer() -> AsyncIterator[Customer]:
    rates = Rates.read('{"window": 2, "rates": {"auth/r/wallets": 5}}')
    exchange = Exchange(Market(1, time.time(), ("tBTCUSD",)), rates, seed=1, state=None)
    exchange.load()
    async with exchange.serving(0, None) as ports, aiohttp.ClientSession() as http:
        customer = Customer(ports, http)
        _, made = await customer.controls("POST", "/keys", permissions=ALL)
        customer.key, customer.secret = made["key"], made["secret"]
        yield customer


async def test_the_control_port_issues_changes_and_deletes_keys(customer: Customer) -> None:
    assert (await customer.call("auth/r/wallets"))[0] == 200
    path = f"/keys/{customer.key}"
    status, shown = await customer.controls("PATCH", path, permissions={"orders": ["read"]})
    assert (status, shown["requests"], shown["user"]) == (200, 1, "you")
    assert (await customer.call("auth/r/wallets"))[1][1:] == [10001, "api_key: permission invalid"]
    assert [k["key"] for k in (await customer.controls("GET", "/keys"))[1]["keys"]] == [
        customer.key
    ]
    assert await customer.controls("DELETE", path) == (200, {})
    assert (await customer.call("auth/r/wallets"))[1] == ["error", 10100, "apikey: invalid"]
    assert (await customer.controls("DELETE", path))[0] == 404
    assert (await customer.controls("POST", "/keys", permissions={"x": []}))[0] == 400


async def test_arrivals_are_told_in_order(customer: Customer) -> None:
    before = time.time()
    await customer.call("auth/r/wallets", nonce=10)
    await customer.call("auth/r/permissions", "", nonce=10)

    first, second = await customer.arrivals()
    assert (first["path"], first["nonce"], first["ok"]) == ("auth/r/wallets", "10", True)
    assert (second["path"], second["error"]) == ("auth/r/permissions", "nonce: small")
    assert before - 1 < first["at"] < second["at"] < time.time() + 1


async def test_a_broken_rate_blocks_the_address_for_account_calls_too(customer: Customer) -> None:
    statuses = [(await customer.call("auth/r/wallets"))[0] for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    assert (await customer.call("auth/r/permissions"))[1] == {"error": "ERR_RATE_LIMIT"}
    async with customer.http.get(f"{customer.base}/v2/platform/status") as reply:
        assert reply.status == 429
    await asyncio.sleep(2.05)
    assert (await customer.call("auth/r/wallets"))[0] == 200
    errors = [arrival["error"] for arrival in await customer.arrivals()]
    assert errors.count("ERR_RATE_LIMIT") == 2


async def test_a_lost_reply_was_carried_out_or_not_as_asked(customer: Customer) -> None:
    for before in (False, True):
        await customer.controls(
            "POST", "/faults", kind="lost", endpoint="auth/r/wallets", before=before
        )
        with pytest.raises(aiohttp.ClientError):
            await customer.call("auth/r/wallets")
    assert [arrival["error"] for arrival in await customer.arrivals()] == ["", "fault"]
    assert (await customer.call("auth/r/wallets"))[0] == 200


async def test_a_held_up_call_arrives_after_its_successor(customer: Customer) -> None:
    await customer.controls("POST", "/faults", kind="hold", seconds=0.3)

    held = asyncio.create_task(customer.call("auth/r/wallets", nonce=20))
    await asyncio.sleep(0.1)
    assert (await customer.call("auth/r/wallets", nonce=21))[0] == 200
    assert (await held)[1] == ["error", 10114, "nonce: small"]


async def test_a_forced_rate_limit_blocks_the_address(customer: Customer) -> None:
    await customer.controls("POST", "/faults", kind="rate_limit", form="11010")

    assert await customer.call("auth/r/wallets") == (429, ["error", 11010, "ratelimit: error"])
    assert await customer.call("auth/r/permissions") == (429, {"error": "ERR_RATE_LIMIT"})


async def test_a_socket_logs_in_and_ends_with_its_key(customer: Customer) -> None:
    async with connect(customer.ws_url) as ws:
        await ws.recv()
        await ws.send(auth_event(customer.key, customer.secret))
        assert json.loads(await ws.recv())["status"] == "OK"
        await customer.controls("DELETE", f"/keys/{customer.key}")
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(read_to_the_end(ws), 2)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_the_key_page_makes_a_key_and_shows_its_secret_once(customer: Customer) -> None:
    url = f"{customer.base}/keys"
    form = {"label": "mine", "user": "bob", "orders": "read", "withdraw": "write"}
    async with customer.http.post(url, data=form) as reply:
        text, shown = await reply.text(), reply.url
        assert reply.status == 200
        assert "Invented money" in text
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    secret = text.split("data-new-secret>")[1][:43]
    async with customer.http.get(shown) as again:
        assert secret not in await again.text()
    made = (await customer.controls("GET", "/keys"))[1]["keys"][0]
    assert (made["user"], made["permissions"]["withdraw"]) == ("bob", ["write"])
    async with customer.http.post(f"{url}/delete", data={"key": made["key"]}) as reply:
        assert made["key"][-4:] not in await reply.text()
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    async with customer.http.post(url, data=form, headers=elsewhere) as reply:
        assert reply.status == 403


LIMIT = json.dumps(
    {"type": "EXCHANGE LIMIT", "symbol": "tBTCUSD", "amount": "0.1", "price": "20000", "cid": 7}
)


async def orders(customer: Customer) -> list[dict[str, Any]]:
    """The truth about orders, whatever their owners were told."""
    found: list[dict[str, Any]] = (await customer.controls("GET", "/orders?user=you"))[1]["orders"]
    return found


@pytest.mark.parametrize(("before", "placed"), [(False, 1), (True, 0)])
async def test_an_order_whose_reply_was_lost_is_there_or_not(
    customer: Customer, before: bool, placed: int
) -> None:
    await customer.controls("POST", "/faults", kind="lost", endpoint=SUBMIT, before=before)
    with pytest.raises(aiohttp.ClientError):
        await customer.call(SUBMIT, LIMIT)

    assert [order["cid"] for order in await orders(customer)] == [7] * placed
    assert len((await customer.call("auth/r/orders"))[1]) == placed


@pytest.mark.parametrize("kind", ["truncate", "cut", "status"])
async def test_an_order_with_a_broken_reply_is_there(customer: Customer, kind: str) -> None:
    await customer.controls("POST", "/faults", kind=kind, endpoint=SUBMIT)
    with contextlib.suppress(aiohttp.ClientError, ValueError):
        await customer.call(SUBMIT, LIMIT)

    assert len(await orders(customer)) == 1


async def test_the_control_port_fills_an_order_in_parts(customer: Customer) -> None:
    number = (await customer.call(SUBMIT, LIMIT))[1][4][0][0]
    path = f"/orders/{number}/fill"
    status, order = await customer.controls("POST", path, amount="0.04")
    assert (status, order["amount"], order["status"]) == (
        200, "0.06000000", "PARTIALLY FILLED @ 20000(0.04)",
    )  # fmt: skip
    assert (await customer.controls("POST", path))[1]["active"] is False
    assert (await customer.controls("POST", path))[0] == 400
    assert (await customer.controls("POST", "/orders/5/fill"))[0] == 404


async def test_a_socket_hears_what_rest_does(customer: Customer) -> None:
    async with connect(customer.ws_url) as ws:
        await ws.recv()
        await ws.send(auth_event(customer.key, customer.secret, filter=["trading", "notify"]))
        heard = [json.loads(await ws.recv()) for _ in range(3)]
        assert [frame[1] for frame in heard[1:]] == ["ps", "os"]
        number = (await customer.call(SUBMIT, LIMIT))[1][4][0][0]
        code, row = json.loads(await asyncio.wait_for(ws.recv(), 2))[1:]
        assert (code, row[0], row[2]) == ("on", number, 7)
        await ws.send(json.dumps([0, "oc", None, {"id": number}]))
        answers = [json.loads(await asyncio.wait_for(ws.recv(), 2)) for _ in range(2)]
        assert [answer[1] for answer in answers] == ["n", "oc"]


def test_keys_orders_and_nonces_survive_a_killed_exchange(
    start_exchange: Callable[..., servers.Exchange],
) -> None:
    exchange = start_exchange()
    given = {"permissions": ALL}
    made = requests.post(f"{exchange.control}/keys", json=given, timeout=5).json()

    def call(nonce: int, path: str, body: str = "{}") -> Any:
        signed = headers(made["key"], made["secret"], path, body, nonce)
        url = f"{exchange.url}/v2/{path}"
        return requests.post(url, data=body, headers=signed, timeout=5).json()

    (row,) = call(50, SUBMIT, LIMIT)[4]
    exchange.kill()
    exchange.start()
    assert call(50, "auth/r/orders") == ["error", 10114, "nonce: small"]
    assert call(51, "auth/r/orders") == [row]
    assert exchange.child.stop() == 0
    assert "Fatal" not in exchange.child.log
    state = Path(exchange.folder) / "accounts.sqlite3"
    assert state.stat().st_mode & 0o077 == 0
