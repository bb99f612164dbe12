import json
import re
from pathlib import Path

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import settings

from market.consumers import (
    MAX_BYTES,
    MAX_MESSAGES,
    Admission,
    Refused,
    TickerConsumer,
    admission,
    household,
    parse,
    wanted,
)
from market.hub import Hub
from market.quotes import FeedStatus
from tests.market.test_hub import FakeSink, flush, rows

LIVE = FeedStatus(state="live", since=1000, at=1000)


class FakeRelay:
    started = 0

    def start(self):
        self.started += 1


class Browser(WebsocketCommunicator):
    """A browser at the consumer's own ASGI door."""

    async def hello(self):
        accepted, _ = await self.connect()
        assert accepted
        return await self.receive_json_from()

    async def ask(self, **request):
        await self.send_json_to(request)
        return await self.receive_json_from()

    async def closing(self):
        """The close code, after any frames before it."""
        while (message := await self.receive_output())["type"] != "websocket.close":
            pass
        return message["code"]


@pytest.fixture
def market():
    target = Hub(0.1)
    target.apply(rows(tA=1, tB=2), LIVE, 0.0, full=True)
    flush(target)
    return target


@pytest.fixture
def gate():
    return Admission(per_address=2, total=3)


@pytest.fixture
def visit(market, gate):
    def make(query="", address="192.0.2.1"):
        consumer = TickerConsumer.as_asgi(market=market, source=FakeRelay(), gate=gate)
        browser = Browser(consumer, f"/ws/tickers/{query}")
        browser.scope["client"] = [address, 1234]
        return browser

    return make


def symbols(message):
    return [row[0] for row in message["rows"]]


# What a browser gets


async def test_a_browser_gets_the_whole_table_first(visit):
    browser = visit()
    message = await browser.hello()
    assert (message["snapshot"], symbols(message)) == (True, ["tA", "tB"])
    await browser.disconnect()


async def test_the_address_may_name_the_symbols(visit):
    browser = visit("?symbols=tB")
    assert symbols(await browser.hello()) == ["tB"]
    await browser.disconnect()


async def test_unknown_symbols_in_the_address_are_told_after_the_snapshot(visit):
    browser = visit("?symbols=tB,tNO,%3Cscript%3E")
    assert symbols(await browser.hello()) == ["tB"]
    answer = await browser.receive_json_from()
    assert (answer["error"], answer["symbols"]) == ("unknown_symbols", ["tNO", "<script>"])
    await browser.disconnect()


async def test_subscribe_replaces_the_list_and_answers_with_a_snapshot(visit):
    browser = visit()
    await browser.hello()
    assert symbols(await browser.ask(subscribe=["tA"])) == ["tA"]
    assert symbols(await browser.ask(subscribe=[])) == []
    assert symbols(await browser.ask(subscribe="all")) == ["tA", "tB"]
    await browser.disconnect()


async def test_resync_answers_with_a_snapshot(visit):
    browser = visit()
    await browser.hello()
    assert (await browser.ask(resync=True))["snapshot"] is True
    await browser.disconnect()


async def test_ping_is_answered_with_the_same_number_and_the_time(visit):
    browser = visit()
    await browser.hello()
    answer = await browser.ask(ping=7)
    assert answer["pong"] == 7
    assert answer["now"] > 1_700_000_000_000
    await browser.disconnect()


async def test_watched_rows_reach_the_hub_and_are_forgotten_with_the_browser(visit, market):
    browser = visit()
    await browser.hello()
    await browser.send_json_to({"watch": ["tB"]})
    await browser.ask(ping=1)
    assert market.watched() == ["tB"]
    await browser.disconnect()
    assert (market.watched(), market.readers) == ([], 0)


async def test_a_flush_reaches_the_browser(visit, market):
    browser = visit()
    await browser.hello()
    market.apply(rows(tA=9), LIVE, 1.0)
    flush(market)
    assert (await browser.receive_json_from())["rows"][0][1] == 9
    await browser.disconnect()


async def test_changes_while_the_transport_is_busy_come_as_one_frame(visit, market):
    browser = visit()
    await browser.connect()  # its snapshot is still under way
    for price in range(10, 20):
        market.apply(rows(tA=price), LIVE, 1.0)
        flush(market)
    assert (await browser.receive_json_from())["snapshot"] is True
    assert (await browser.receive_json_from())["rows"][0][1] == 19
    assert await browser.receive_nothing(0.05)
    await browser.disconnect()


# What a browser may not do

BAD_MESSAGES = [
    " ",
    "nonsense",
    "[]",
    "{}",
    "null",
    '{"subscribe":"some"}',
    '{"subscribe":[1]}',
    '{"subscribe":["' + "t" * 41 + '"]}',
    '{"watch":"all"}',
    '{"resync":false}',
    '{"ping":1.5}',
    '{"ping":99999999999999999999}',
    '{"ping":1,"resync":true}',
    '{"surprise":1}',
    '{"ping":1',
    "[" * 8000,
    '{"subscribe":' + "[" * 5000 + "]" * 5000 + "}",
]


@pytest.mark.parametrize("text", BAD_MESSAGES, ids=lambda text: text[:24])
async def test_a_bad_message_is_answered_with_an_error(visit, text):
    browser = visit()
    await browser.hello()
    await browser.send_to(text_data=text)
    assert (await browser.receive_json_from())["error"] == "bad_message"
    assert "pong" in await browser.ask(ping=1)
    await browser.disconnect()


async def test_unknown_symbols_change_nothing_and_are_named(visit, market):
    browser = visit()
    await browser.hello()
    hostile = ["tBTCUSD/../auth", "t<script>", "tA\r\n"]
    answer = await browser.ask(subscribe=["tA", *hostile])
    assert (answer["error"], answer["symbols"]) == ("unknown_symbols", hostile)
    assert "error" in await browser.ask(watch=["tNO"])
    market.apply(rows(tB=9), LIVE, 1.0)
    flush(market)
    assert symbols(await browser.receive_json_from()) == ["tB"]
    await browser.disconnect()


async def test_the_answer_names_only_some_of_a_thousand_unknown_symbols(visit):
    browser = visit()
    await browser.hello()
    answer = await browser.ask(subscribe=[f"tX{number}" for number in range(1000)])
    assert len(json.dumps(answer)) < 1000
    await browser.disconnect()


async def test_the_third_error_closes_with_1008(visit):
    browser = visit()
    await browser.hello()
    for _ in range(3):
        await browser.send_to(text_data="nonsense")
    assert await browser.closing() == 1008


async def test_the_sixty_first_message_in_a_minute_closes_with_1008(visit):
    browser = visit()
    await browser.hello()
    for number in range(MAX_MESSAGES):
        assert (await browser.ask(ping=number))["pong"] == number
    await browser.send_json_to({"ping": 61})
    assert await browser.closing() == 1008


async def test_a_binary_message_closes_with_1003(visit):
    browser = visit()
    await browser.hello()
    await browser.send_to(bytes_data=b'{"ping":1}')
    assert await browser.closing() == 1003


async def test_a_message_over_16_kib_closes_with_1009(visit):
    browser = visit()
    await browser.hello()
    await browser.send_to(text_data=" " * (MAX_BYTES + 1))
    assert await browser.closing() == 1009


async def test_a_browser_that_is_closed_gets_no_more_prices(visit, market):
    browser = visit()
    await browser.hello()
    await browser.send_to(bytes_data=b"x")
    await browser.closing()
    assert market.readers == 0


async def test_a_reader_behind_for_too_long_ends_the_application(visit, market):
    browser = visit()
    await browser.connect()
    market.apply(rows(tA=9), LIVE, 1.0)
    flush(market)  # the snapshot has not left yet
    market.tick(1000.0)
    await browser.wait()
    assert (market.dropped, market.readers) == (1, 0)


async def test_a_cancelled_server_is_not_mistaken_for_a_dropped_reader(visit, market):
    browser = visit()
    await browser.hello()
    browser.future.cancel()
    await browser.wait()
    assert market.readers == 0


# Who may enter


async def test_an_address_has_only_so_many_sockets(visit):
    browsers = [visit() for _ in range(2)]
    for browser in browsers:
        await browser.hello()
    assert await visit().connect() == (False, 1000)
    await browsers[0].disconnect()
    again = visit()
    await again.hello()
    for browser in (browsers[1], again):
        await browser.disconnect()


async def test_there_is_a_limit_for_all_addresses_together(visit):
    browsers = [visit(address=f"192.0.2.{number}") for number in range(3)]
    for browser in browsers:
        await browser.hello()
    assert await visit(address="192.0.2.9").connect() == (False, 1000)
    for browser in browsers:
        await browser.disconnect()


def test_the_limits_come_from_the_settings(settings):
    settings.BFX_SOCKETS_PER_ADDRESS = 1
    admission.cache_clear()
    gate = admission()
    assert [gate.enter("a"), gate.enter("a"), gate.enter("b")] == [True, False, True]
    admission.cache_clear()


@pytest.mark.parametrize(
    ("address", "counts_for"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("nonsense", "local"),
    ],
)
def test_an_ipv6_address_counts_for_its_network(address, counts_for):
    assert household([address, 1]) == counts_for


@pytest.mark.parametrize("client", [None, [], ["", None]])
def test_a_connection_without_address_counts_as_local(client):
    assert household(client) == "local"


# Parsing


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        (b"", None),
        (b"other=1", None),
        (b"symbols=", []),
        (b"symbols=tA,tB", ["tA", "tB"]),
        (b"symbols=tA&symbols=tB,,", ["tA", "tB"]),
        (b"symbols=tDUSK%3AUSD", ["tDUSK:USD"]),
        (b"symbols=%ff\xff", ["\ufffd\xff"]),
    ],
)
def test_symbols_of_the_address(query, symbols):
    assert wanted(query) == symbols


def test_a_request_is_exactly_one_thing():
    assert parse(b'{"subscribe":"all"}').subscribe == "all"
    with pytest.raises(Refused, match="one of"):
        parse(b"{}")


# The documentation


def test_every_message_in_the_documentation_is_understood():
    text = (Path(settings.BASE_DIR) / "docs" / "websocket.md").read_text()
    named = re.findall(r"`(\{\"(?:subscribe|watch|resync|ping)\".*?\})`", text)
    assert len(named) == 5
    for message in named:
        parse(message.encode())


def test_the_frames_in_the_documentation_have_the_fields_of_a_real_one(market):
    text = (Path(settings.BASE_DIR) / "docs" / "websocket.md").read_text()
    shown = [json.loads(each) for each in re.findall(r"^\{.*\}$", text, flags=re.MULTILINE)]
    sink = FakeSink()
    market.join(sink, None, 1.0)
    (real,) = sink.take()
    assert list(shown[0]) == list(real)
    assert (shown[0]["fields"], list(shown[0]["feed"])) == (real["fields"], list(real["feed"]))
    assert all(len(row) == len(real["rows"][0]) for row in shown[1]["rows"])
