import asyncio
import time
from contextlib import suppress

import pytest
from channels.layers import InMemoryChannelLayer
from django.db import OperationalError

from market import relay as relay_module
from market.hub import Hub
from market.relay import FEED, TICKS, Relay, relay
from tests.market.test_hub import FakeSink, rows

STATUS = {"state": "live", "since": 1, "at": 1, "reason": "", "unknown to this version": True}


def batch(full=False, **prices):
    return {"type": "ticks.batch", "rows": rows(**prices), "status": STATUS, "full": full}


class LameLayer(InMemoryChannelLayer):
    """A channel layer whose server is away for the first calls."""

    def __init__(self, failures):
        super().__init__()
        self.failures = failures

    async def group_add(self, group, channel):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        await super().group_add(group, channel)


@pytest.fixture
def layer():
    return InMemoryChannelLayer()


@pytest.fixture
def market():
    return Hub(window=0.05)


@pytest.fixture
async def feed(layer):
    """The feed's own channel, to hear what web processes want."""
    channel = await layer.new_channel()
    await layer.group_add(FEED, channel)

    async def wanted(seconds=1.0):
        async with asyncio.timeout(seconds):
            return await layer.receive(channel)

    return wanted


@pytest.fixture
async def start():
    tasks = []

    async def run(market, layer, load=dict):
        target = Relay(market, layer, load)
        tasks.append(asyncio.get_running_loop().create_task(target.run()))
        async with asyncio.timeout(2):
            while not layer.groups.get(TICKS):
                await asyncio.sleep(0.001)
        return target

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def everything(feed):
    """The messages that wait for the feed now."""
    messages = []
    with suppress(TimeoutError):
        while True:
            messages.append(await feed(0.01))
    return messages


async def until(condition, seconds=1.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_batch_reaches_the_browsers_at_once(market, layer, start):
    await start(market, layer)
    sink = FakeSink()
    market.join(sink, None, time.monotonic())
    sink.take()
    await layer.group_send(TICKS, batch(tA=1))
    await until(lambda: sink.frames)
    assert sink.take()[-1]["rows"][0][:2] == ["tA", 1]


async def test_a_second_batch_waits_for_the_end_of_the_window(market, layer, start):
    await start(market, layer)
    sink = FakeSink()
    market.join(sink, None, time.monotonic())
    sink.take()
    began = time.monotonic()
    for price in range(10):
        await layer.group_send(TICKS, batch(tA=price))
        await asyncio.sleep(0.001)
    await until(lambda: sink.frames and b'"tA",9,' in sink.frames[-1])
    assert time.monotonic() - began >= 0.04
    assert len(sink.frames) <= 3


async def test_many_browsers_are_served_between_other_work(market, layer, start):
    target = await start(market, layer)
    sinks = [FakeSink() for _ in range(600)]
    for sink in sinks:
        market.join(sink, None, time.monotonic())
    await asyncio.sleep(0.06)
    market.apply(rows(tA=5), market.status, time.monotonic())
    target.wake()
    served = sum(len(sink.frames) > 1 for sink in sinks)
    assert served == 250
    market.apply(rows(tA=6), market.status, time.monotonic())
    target.wake()
    await until(lambda: all(b'"tA",6,' in sink.frames[-1] for sink in sinks))


async def test_a_starting_process_asks_for_the_whole_table(market, layer, start, feed):
    await start(market, layer)
    assert await feed() == {"type": "feed.wanted", "symbols": [], "full": True}


async def test_it_asks_again_until_the_table_comes(market, layer, start, feed, monkeypatch):
    monkeypatch.setattr(relay_module, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(relay_module, "TICK_SECONDS", 0.02)
    await start(market, layer)
    assert [(await feed())["full"] for _ in range(3)] == [True, True, True]
    await layer.group_send(TICKS, batch(full=True, tA=1))
    await until(lambda: market.complete)
    await asyncio.sleep(0.1)
    await everything(feed)
    await asyncio.sleep(0.1)
    assert await everything(feed) == []


async def test_watched_symbols_are_told_and_repeated(market, layer, start, feed, monkeypatch):
    monkeypatch.setattr(relay_module, "WATCHED_SECONDS", 0.2)
    monkeypatch.setattr(relay_module, "TICK_SECONDS", 0.02)
    await start(market, layer)
    await layer.group_send(TICKS, batch(full=True, tA=1))
    await until(lambda: market.complete)
    reader = market.join(FakeSink(), None, time.monotonic())
    market.watch(reader, frozenset({"tA"}))
    told: list[tuple[list[str], bool]] = []
    async with asyncio.timeout(2):
        while len(told) < 2:
            message = await feed()
            if message["symbols"]:
                told.append((message["symbols"], message["full"]))
    assert told == [(["tA"], False)] * 2


async def test_a_layer_that_forgot_its_member_is_joined_again(market, layer, start, monkeypatch):
    monkeypatch.setattr(relay_module, "WATCHED_SECONDS", 0.05)
    monkeypatch.setattr(relay_module, "TICK_SECONDS", 0.02)
    await start(market, layer)
    layer.groups.clear()
    await until(lambda: layer.groups.get(TICKS))
    await layer.group_send(TICKS, batch(tA=1))
    await until(market.rows)


async def test_a_layer_that_is_away_is_tried_until_it_is_back(market, start, monkeypatch, caplog):
    monkeypatch.setattr(relay_module, "RETRY_SECONDS", 0.01)
    layer = LameLayer(failures=3)
    await start(market, layer)
    await layer.group_send(TICKS, batch(tA=1))
    await until(market.rows)
    assert caplog.text.count("is away") == 1
    assert "is back" in caplog.text


async def test_a_feed_that_cannot_be_told_is_told_later(market, start, caplog, monkeypatch):
    class Deaf(InMemoryChannelLayer):
        async def group_send(self, group, message):
            raise ConnectionError("away")

    monkeypatch.setattr(relay_module, "TICK_SECONDS", 0.01)
    await start(market, Deaf())
    await asyncio.sleep(0.05)
    assert caplog.text.count("is away") == 1


async def test_nonsense_on_the_layer_changes_nothing(market, layer, start, caplog):
    await start(market, layer)
    await layer.group_send(TICKS, {"type": "ticks.batch", "rows": [1]})
    await layer.group_send(TICKS, batch(tA=1))
    await until(market.rows)
    assert "not a batch" in caplog.text


async def test_saved_rows_are_there_before_the_first_batch(market, layer, start):
    await start(market, layer, lambda: rows(tOLD=1))
    await until(market.rows)
    assert market.status.state == "connecting"


async def test_a_database_that_is_away_does_not_stop_the_prices(market, layer, start, caplog):
    def fail():
        raise OperationalError("locked")

    await start(market, layer, fail)
    await layer.group_send(TICKS, batch(tA=1))
    await until(market.rows)
    assert "no saved prices" in caplog.text


async def test_started_twice_it_runs_once(market, layer):
    target = Relay(market, layer, dict)
    target.start()
    target.start()
    await until(lambda: layer.groups.get(TICKS))
    assert len(layer.groups[TICKS]) == 1
    running = [each for each in asyncio.all_tasks() if "Relay.run" in repr(each)]
    assert len(running) == 1
    running[0].cancel()
    await asyncio.gather(*running, return_exceptions=True)


def test_a_process_has_one_relay():
    assert relay() is relay()
