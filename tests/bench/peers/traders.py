"""The peers as their documentation has them used, in processes that share the same keys.

Runs in the traders' own environment (tests/bench/traders.txt): `traders.py CLIENT JSON`, where
CLIENT is `bitfinex-api-py`, `ccxt`, `ccxt-async` or `requests`. With `orders` it places so many
altogether and cancels each; with `seconds` each process asks for its wallets `rate` times a second.
Prints what the callers saw as one JSON line.
"""

import asyncio
import hashlib
import hmac
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from typing import Any

SYMBOL, AMOUNT, PRICE = "tBTCUSD", "0.0001", "20000"
TASKS = 4  # of ccxt-async, in each process


class Official:
    """bitfinex-api-py."""

    package = "requests"

    def __init__(self, address, key, secret, *, limited):
        from bfxapi import Client  # type: ignore[import-not-found,unused-ignore]

        host = {"rest_host": f"{address}/v2", "wss_host": "ws://127.0.0.1:9/"}
        self.auth = Client(key, secret, **host).rest.auth

    def place(self):
        return self.auth.submit_order("EXCHANGE LIMIT", SYMBOL, AMOUNT, PRICE).data.id

    def cancel(self, number):
        self.auth.cancel_order(id=number)

    def wallets(self):
        self.auth.get_wallets()


class Ccxt:
    """ccxt; with its own limiter when limits are what is tried."""

    package = "ccxt"

    def __init__(self, address, key, secret, *, limited):
        package = __import__(self.package, fromlist=["bitfinex"])
        options = {"apiKey": key, "secret": secret, "enableRateLimit": limited}
        self.api = package.bitfinex(options)
        self.api.urls["api"] = dict.fromkeys(("v1", "public", "private"), address)
        self.order = {"type": "EXCHANGE LIMIT", "symbol": SYMBOL, "amount": AMOUNT, "price": PRICE}

    def place(self):
        return self.api.private_post_auth_w_order_submit(dict(self.order))[4][0][0]

    def cancel(self, number):
        self.api.private_post_auth_w_order_cancel({"id": int(number)})

    def wallets(self):
        self.api.private_post_auth_r_wallets()


class CcxtAsync(Ccxt):
    package = "ccxt.async_support"

    async def place(self):
        return (await self.api.private_post_auth_w_order_submit(dict(self.order)))[4][0][0]

    async def cancel(self, number):
        await self.api.private_post_auth_w_order_cancel({"id": int(number)})

    async def wallets(self):
        await self.api.private_post_auth_r_wallets()


class Bare:
    """One `requests` session and the clock in microseconds."""

    package = "requests"

    def __init__(self, address, key, secret, *, limited):
        import requests

        self.address, self.key, self.secret = address, key, secret
        self.session = requests.Session()

    def post(self, path, **fields):
        body, nonce = json.dumps(fields), str(time.time_ns() // 1000)
        payload = f"/api/v2/{path}{nonce}{body}".encode()
        headers = {
            "bfx-apikey": self.key,
            "bfx-nonce": nonce,
            "bfx-signature": hmac.new(self.secret.encode(), payload, hashlib.sha384).hexdigest(),
            "content-type": "application/json",
        }
        reply = self.session.post(f"{self.address}/v2/{path}", data=body, headers=headers)
        if reply.status_code != 200:
            raise RuntimeError(reply.text)
        return reply.json()

    def place(self):
        order = {"type": "EXCHANGE LIMIT", "symbol": SYMBOL, "amount": AMOUNT, "price": PRICE}
        return self.post("auth/w/order/submit", **order)[4][0][0]

    def cancel(self, number):
        self.post("auth/w/order/cancel", id=number)

    def wallets(self):
        self.post("auth/r/wallets")


CLIENTS: dict[str, Any] = {
    "bitfinex-api-py": Official,
    "ccxt": Ccxt,
    "ccxt-async": CcxtAsync,
    "requests": Bare,
}


def outcome(error):
    text = f"{type(error).__name__} {error}".lower()
    if "nonce" in text:
        return "nonce refused"
    return "limited" if "rate" in text else "failed"


async def call(seen, name, function, *words):
    """What one call was for its caller; its value, or None."""
    try:
        value = function(*words)
        if asyncio.iscoroutine(value):
            value = await value
    except Exception as error:  # noqa: BLE001  each client has errors of its own
        seen[outcome(error)] += 1
        return None
    seen[name] += 1
    return value


async def trade(clients, taken, orders, seen):
    while True:
        with taken.get_lock():
            turn, taken.value = taken.value, taken.value + 1
        if turn >= orders:
            return
        client = clients[turn % len(clients)]
        number = await call(seen, "placed", client.place)
        if number is not None:
            await call(seen, "cancelled", client.cancel, number)


async def read(clients, seconds, rate, seen):
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        await call(seen, "ok", clients[0].wallets)
        await asyncio.sleep(max(0.0, now + 1 / rate - time.monotonic()))


async def work(name, plan, taken, seen):
    made = [
        CLIENTS[name](plan["address"], *pair, limited="seconds" in plan) for pair in plan["pairs"]
    ]
    tasks = TASKS if name == "ccxt-async" else 1
    if "seconds" in plan:
        jobs = [read(made, plan["seconds"], plan["rate"] / tasks, seen) for _ in range(tasks)]
    else:
        jobs = [trade(made, taken, plan["orders"], seen) for _ in range(tasks)]
    await asyncio.gather(*jobs)
    if name == "ccxt-async":
        for each in made:
            await each.api.close()


def process(name, plan, taken, ready, start, writing):
    seen = Counter[str]()
    __import__(CLIENTS[name].package)
    ready.release()
    start.wait()
    began = time.monotonic()
    asyncio.run(work(name, plan, taken, seen))
    told = {**seen, "seconds": time.monotonic() - began}
    os.write(writing, json.dumps(told).encode() + b"\n")


def main(name, plan):
    fork = multiprocessing.get_context("fork")
    taken, ready, start = fork.Value("i", 0), fork.Semaphore(0), fork.Event()
    reading, writing = os.pipe()
    words = (name, plan, taken, ready, start, writing)
    started = [fork.Process(target=process, args=words) for _ in range(plan["processes"])]
    for each in started:
        each.start()
    for _ in started:
        ready.acquire()
    start.set()
    for each in started:
        each.join()
    os.close(writing)
    lines = [json.loads(line) for line in os.fdopen(reading)]
    slowest = max(line.pop("seconds") for line in lines)
    total = sum(map(Counter, lines), Counter[str]())
    print(json.dumps({**total, "seconds": slowest}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
