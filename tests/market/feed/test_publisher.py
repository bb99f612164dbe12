"""Batches: the first change at once, later ones together, and nothing is lost with the layer."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from channels.layers import InMemoryChannelLayer

from market.bitfinex import events
from market.bitfinex.events import Channel
from market.feed.ports import Outside
from market.feed.publisher import Publisher, WebProcesses
from market.feed.table import Table
from market.quotes import Batch, FeedStatus
from tests.market.feed.fakes import QUICK, outside, ticker, until

SLOW = replace(QUICK, flush=0.2, beat=30, full=30)


class Layer(InMemoryChannelLayer):
    """Remembers what was sent; while `away` every call fails, as with a Redis that is down."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self.away = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.away:
            raise ConnectionError("layer away")
        self.sent.append(message)
        await super().group_send(group, message)

    async def group_add(self, group: str, channel: str) -> None:
        if self.away:
            raise ConnectionError("layer away")
        await super().group_add(group, channel)


class Room:
    def __init__(self, around: Outside, layer: Layer) -> None:
        self.layer = layer
        self.status = FeedStatus(state="live", since=1, at=1)
        self.table = Table(around.clock, lambda: self.publisher.wake())
        self.publisher = Publisher(around, 0, self.table, lambda: self.status)

    def change(self, last: float, symbol: str = "tBTCUSD") -> None:
        self.table.hear(events.TickerSeen(Channel("ticker", symbol), ticker(last)))

    @property
    def prices(self) -> list[list[float]]:
        """Of each batch: the prices in it."""
        return [[json.loads(row)[1] for row in batch["rows"].values()] for batch in self.layer.sent]


@pytest.fixture
def layer() -> Layer:
    return Layer()


@pytest.fixture
async def room(layer: Layer) -> AsyncIterator[Room]:
    room = Room(outside("", layer=layer, timing=SLOW), layer)
    running = asyncio.ensure_future(room.publisher.run())
    await until(lambda: room.layer.sent)
    await asyncio.sleep(SLOW.flush * 1.2)
    yield room
    running.cancel()
    await asyncio.wait({running})


async def test_a_batch_is_what_web_processes_read(room: Room) -> None:
    room.change(1)
    await until(lambda: len(room.layer.sent) == 2)
    first, second = (msgspec.convert(message, Batch) for message in room.layer.sent)
    assert (first.full, first.rows) == (True, {})
    assert (second.full, list(second.rows)) == (True, ["tBTCUSD"])
    assert second.status == room.status
    room.change(2, "tETHUSD")
    await until(lambda: len(room.layer.sent) == 3)
    third = msgspec.convert(room.layer.sent[2], Batch)
    assert (third.full, list(third.rows)) == (False, ["tETHUSD"])


async def test_the_first_rows_are_the_whole_table_even_if_the_layer_loses_them_once(
    room: Room, layer: Layer
) -> None:
    layer.away = True
    room.change(1)
    await asyncio.sleep(SLOW.flush * 1.2)
    layer.away = False
    await until(lambda: len(layer.sent) == 2)
    assert layer.sent[1]["full"]


async def test_the_first_change_goes_at_once_and_later_ones_together(room: Room) -> None:
    began = asyncio.get_running_loop().time()
    room.change(1)
    await until(lambda: len(room.layer.sent) == 2)
    assert asyncio.get_running_loop().time() - began < SLOW.flush / 2
    for last in (2, 3, 4):
        room.change(last)
        room.change(last * 10, "tETHUSD")
        await asyncio.sleep(0.01)
    await until(lambda: len(room.layer.sent) == 3)
    assert asyncio.get_running_loop().time() - began >= SLOW.flush
    assert room.prices[1] == [1]
    assert sorted(room.prices[2]) == [4, 40]


async def test_waking_without_news_sends_nothing(room: Room) -> None:
    room.publisher.wake()
    await asyncio.sleep(0.05)
    assert len(room.layer.sent) == 1


async def test_a_change_of_the_status_is_news(room: Room) -> None:
    room.status = FeedStatus(state="stale", since=2, at=2, reason="lost")
    room.publisher.wake()
    await until(lambda: len(room.layer.sent) == 2)
    assert room.layer.sent[1]["status"]["reason"] == "lost"


async def test_the_time_of_the_status_alone_is_none(room: Room) -> None:
    room.status = FeedStatus(state="live", since=1, at=99)
    room.publisher.wake()
    await asyncio.sleep(0.05)
    assert len(room.layer.sent) == 1


async def test_the_whole_table_comes_when_asked(room: Room) -> None:
    room.change(1)
    room.change(2, "tETHUSD")
    await until(lambda: len(room.layer.sent) > 1)
    room.publisher.send_everything()
    await until(lambda: room.layer.sent[-1]["full"] and len(room.layer.sent) > 2)
    assert sorted(room.prices[-1]) == [1, 2]


async def test_after_a_layer_was_away_the_next_batch_is_whole(room: Room, layer: Layer) -> None:
    room.change(1)
    await until(lambda: len(layer.sent) == 2)
    layer.away = True
    room.change(2, "tETHUSD")
    await asyncio.sleep(SLOW.flush * 1.5)
    layer.away = False
    await until(lambda: len(layer.sent) == 3)
    assert layer.sent[2]["full"]
    assert sorted(room.prices[2]) == [1, 2]


async def test_web_processes_are_heard_again_after_the_layer_was_away(layer: Layer) -> None:
    around = outside("", layer=layer)
    layer.away = True
    hearing = asyncio.ensure_future(WebProcesses(around).next_message())
    await until(lambda: around.counters.layer_errors)
    layer.away = False
    await until(lambda: layer.groups.get("market.feed"))
    await layer.group_send("market.feed", {"type": "feed.wanted", "symbols": ["tBTCUSD"]})
    assert (await hearing)["symbols"] == ["tBTCUSD"]
