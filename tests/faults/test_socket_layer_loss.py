"""Redis goes and comes back while browsers watch."""

import asyncio
import shlex
import sys
import time

import pytest
import redis as redis_client
from channels_redis.pubsub import RedisPubSubChannelLayer

from market.relay import FEED, TICKS
from tests.market.test_hub import rows
from tests.servers import REDIS_OPTIONS, Child, free_port, redis_binary
from tests.sockets import Browser, Ticking


class Redis:
    """A Redis that can be started again at the same address."""

    def __init__(self, folder):
        self.port = free_port()
        self.folder = folder
        self.start()

    def start(self):
        command = [redis_binary(), *shlex.split(REDIS_OPTIONS), "--port", self.port]
        self.child = Child([*command, "--dir", self.folder], self.folder / "redis.log")
        self.child.wait_until(self.answers)

    def answers(self):
        with redis_client.Redis(port=self.port) as client:
            return client.ping()


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path)
    yield server
    server.child.stop()


@pytest.fixture
def web(redis, tmp_path):
    port = free_port()
    server = Ticking(
        tmp_path,
        [sys.executable, "-m", "tests.integration.ticking", str(port)],
        REDIS_URL=f"redis://127.0.0.1:{redis.port}",
        TEST_SILENCE_SECONDS="2",
    )
    server.port = port
    server.child.wait_until(lambda: "listening" in server.child.log)
    yield server
    server.stop()


async def tell(redis, browser, price):
    """Sends batches as the feed does, until the browser has this price."""
    layer = RedisPubSubChannelLayer(hosts=[f"redis://127.0.0.1:{redis.port}"])
    status = {"state": "live", "since": 1, "at": 1}
    message = {"type": "ticks.batch", "rows": rows(tA=price), "status": status, "full": True}
    reading = asyncio.to_thread(browser.until, lambda: browser.table.get("tA") == price, 20)
    waiting = asyncio.ensure_future(reading)
    while not waiting.done():
        await layer.group_send(TICKS, message)
        await asyncio.wait([waiting], timeout=0.2)
    await waiting
    await layer.flush()


async def test_without_redis_prices_are_stale_and_with_it_live_again_within_ten_seconds(redis, web):
    browser: Browser = web.open()
    await tell(redis, browser, 1)
    redis.child.kill()
    await asyncio.to_thread(browser.until, lambda: feed_state(browser) == "stale", 20)
    assert browser.table == {"tA": 1}
    redis.start()
    began = time.monotonic()
    await tell(redis, browser, 2)
    assert time.monotonic() - began < 10
    assert feed_state(browser) == "live"


def feed_state(browser):
    states = [message["feed"]["state"] for message in browser.messages if "feed" in message]
    return states[-1] if states else None


def test_the_groups_are_those_the_feed_uses():
    from market.feed import publisher

    assert (TICKS, FEED) == (publisher.TICKS, publisher.WANTED)
