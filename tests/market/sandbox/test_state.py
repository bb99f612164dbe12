import json
from itertools import pairwise
from typing import Any

import pytest

from market.sandbox.state import TICKER_SECONDS, Market, read_symbols
from market.sandbox.topics import Event, Refused, Topic

START = 1_790_134_414.85
BTC = Topic("trades", "tBTCUSD")
BOOK = Topic("book", "tBTCUSD", "P0", "F0", "25")
CANDLES = Topic("candles", "trade:1m:tBTCUSD")


def market(*symbols: str, seed: int = 1) -> Market:
    return Market(seed, START, symbols or ("tBTCUSD",))


def ticker(of: Market, symbol: str) -> list[Any]:
    row: list[Any] = json.loads(of.ticker(symbol) or "null")
    return row


def lived(of: Market, seconds: float, *topics: Topic, step: float = 5.0) -> list[Event]:
    """The events of some topics while time passes in steps."""
    for topic in topics:
        of.open(topic, START)
    steps = int(seconds / step)
    return [event for i in range(1, steps + 1) for event in of.advance(START + i * step)]


def test_the_whole_list_is_there_with_funding_and_futures() -> None:
    everything = Market(1, START)

    assert len(everything.pairs()) == 293
    assert len([symbol for symbol in everything.symbols() if symbol.startswith("f")]) == 20
    assert {"tTESTBTC:TESTUSD", "tAAABBB", "tBTCF0:USTF0"} <= set(everything.symbols())
    assert all(everything.ticker(symbol) for symbol in everything.symbols())


def test_a_smaller_market_is_asked_for_by_name() -> None:
    names = read_symbols("tBTCUSD, fUSD,tBTCF0:USTF0")
    assert sorted(Market(1, START, names).symbols()) == sorted(names)
    assert read_symbols("") == []
    with pytest.raises(ValueError, match="no such symbol: tNOPE"):
        read_symbols("tBTCUSD,tNOPE")


def test_one_seed_is_one_market_however_often_it_is_looked_at() -> None:
    first, second = market(), market()

    seldom = lived(first, 60, BTC, step=60)
    often = lived(second, 60, BTC, BOOK, step=0.5)
    assert seldom == [event for event in often if event.topic == BTC]
    assert first.ticker("tBTCUSD") == second.ticker("tBTCUSD") != market(seed=2).ticker("tBTCUSD")


def test_cross_rates_agree_and_go_on_agreeing() -> None:
    of = market("tBTCUSD", "tETHUSD", "tETHBTC")

    for now in (START, START + 600):
        of.advance(now)
        btc, eth, cross = (ticker(of, s)[6] for s in ("tBTCUSD", "tETHUSD", "tETHBTC"))
        assert cross == pytest.approx(eth / btc, rel=0.01)


def test_a_trading_ticker_has_eleven_fields_that_agree_with_the_book() -> None:
    of = market()
    lived(of, 30)
    bids = [json.loads(row) for row in of.book("tBTCUSD", "P0", 25)[:25]]
    asks = [json.loads(row) for row in of.book("tBTCUSD", "P0", 25)[25:]]

    row = ticker(of, "tBTCUSD")
    assert len(row) == 11
    assert (row[0], row[2]) == (bids[0][0], asks[0][0])
    assert row[1] == pytest.approx(sum(level[2] for level in bids))
    assert row[3] == pytest.approx(-sum(level[2] for level in asks))
    assert row[9] <= row[6] <= row[8]
    assert row[5] == pytest.approx(row[4] / (row[6] - row[4]), abs=0.0001)


def test_a_funding_ticker_has_its_period_before_its_size() -> None:
    row = ticker(market("fUSD"), "fUSD")

    assert len(row) == 17
    assert (row[2], row[5]) == pytest.approx((61, 61), abs=59)
    assert row[3] > 1000 < row[6]
    assert row[13:15] == [None, None]


def test_trades_move_the_last_price_and_come_twice_with_rising_ids() -> None:
    of = market()
    texts = [event.payloads[0] for event in lived(of, 120, BTC)]

    first = [json.loads(text[5:]) for text in texts if text.startswith('"te",')]
    second = [json.loads(text[5:]) for text in texts if text.startswith('"tu",')]
    assert first[: len(second)] == second
    assert [row[0] for row in first] == sorted({row[0] for row in first})
    assert ticker(of, "tBTCUSD")[6] == first[-1][3]
    assert len(first) > 30


def test_prices_have_five_digits_and_amounts_eight_decimals() -> None:
    of = market("tZRXETH", "tBTCUSD", "tBTTUSD")
    lived(of, 300)

    for symbol in of.symbols():
        for row in of.trades(symbol):
            _, _, amount, price = json.loads(row.text)
            assert float(f"{price:.5g}") == price
            assert round(amount, 8) == amount != 0


def test_trades_made_before_the_start_agree_with_the_candles() -> None:
    of = market()
    rows = [json.loads(row.text) for row in of.trades("tBTCUSD")]
    minute = max(row[1] for row in rows) // 60_000 * 60_000
    candle = json.loads(next(iter(of.candles("trade:1m:tBTCUSD", minute, minute))).text)

    prices = [row[3] for row in rows if row[1] >= minute]
    assert (prices[-1], prices[0], max(prices), min(prices)) == tuple(candle[1:5])
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)


def test_candles_are_made_of_the_trades() -> None:
    of = market()
    texts = [event.payloads[0] for event in lived(of, 180, BTC, CANDLES)]
    trades = [json.loads(text[5:]) for text in texts if text.startswith('"te",')]
    candle = json.loads(next(text for text in reversed(texts) if text.startswith("[")))

    inside = [row for row in trades if candle[0] <= row[1] < candle[0] + 60_000]
    prices = [row[3] for row in inside]
    assert candle[1:5] == [prices[0], prices[-1], max(prices), min(prices)]
    assert candle[5] == pytest.approx(sum(abs(row[2]) for row in inside))


def test_a_ticker_is_sent_at_most_every_ten_seconds_and_only_on_change() -> None:
    of = market("tBTCUSD", "tCLOUSD")
    topics = [Topic("ticker", symbol) for symbol in ("tBTCUSD", "tCLOUSD")]
    events = lived(of, 100, *topics, step=0.5)

    for topic in topics:
        texts = [event.payloads[0] for event in events if event.topic == topic]
        assert len(texts) <= 100 / TICKER_SECONDS
        assert all(one != other for one, other in pairwise(texts))


@pytest.mark.parametrize("prec", ["P0", "P2", "R0"])
def test_book_updates_lead_from_the_snapshot_to_the_present(prec: str) -> None:
    of, topic = market(), Topic("book", "tBTCUSD", prec, "F0", "25")
    of.open(topic, START)
    place = 0
    shown = {row[place]: row for row in json.loads(of.snapshot(topic)[0])}
    for event in lived(of, 60, topic):
        for payload in event.payloads:
            row = json.loads(payload)
            if row[1] == 0:
                assert shown.pop(row[place])[2] * row[2] > 0, "deleted on its own side"
            else:
                shown[row[place]] = row

    present = [json.loads(row) for row in of.book("tBTCUSD", prec, 25)]
    assert sorted(shown.values()) == sorted(present)
    assert present


def test_slow_books_are_sent_every_two_seconds() -> None:
    of, topic = market(), Topic("book", "tBTCUSD", "P0", "F1", "25")

    assert len(lived(of, 20, topic, step=0.1)) == pytest.approx(10, abs=1)


def test_a_price_can_be_set_and_the_book_moves_along() -> None:
    of = market()
    lived(of, 10, BTC, BOOK)

    of.control("price", {"symbol": "tBTCUSD", "price": 71234.5})
    events = of.advance(START + 11)
    bid, _, ask, *_, last = ticker(of, "tBTCUSD")[:7]
    assert bid < ask
    assert (bid, last, ask) == pytest.approx((71234, 71234, 71234), rel=0.001)
    assert {event.topic for event in events} >= {BTC, BOOK}
    assert "71234" in events[0].payloads[0]


def test_a_frozen_market_holds_still_until_it_is_thawed() -> None:
    of = market()
    of.control("freeze", {"symbols": ["tBTCUSD"]})
    assert lived(of, 60, BTC, BOOK) == []

    of.control("freeze", {"on": False})
    assert of.advance(START + 120)


@pytest.mark.parametrize(
    "topic",
    [
        Topic("ticker", "tNOPE"),
        Topic("book", "tBTCUSD", "P9", "F0", "25"),
        Topic("book", "tBTCUSD", "P0", "F2", "25"),
        Topic("book", "tBTCUSD", "P0", "F0", "26"),
        Topic("candles", "trade:2m:tBTCUSD"),
        Topic("candles", "nonsense"),
        Topic("status", "deriv:tBTCUSD"),
    ],
)
def test_channels_that_do_not_exist_are_refused(topic: Topic) -> None:
    with pytest.raises(Refused, match="invalid"):
        market().open(topic, START)


def test_a_derivative_has_a_status_of_23_fields_every_five_seconds() -> None:
    of, topic = market("tBTCF0:USTF0"), Topic("status", "deriv:tBTCF0:USTF0")

    assert len(json.loads(of.status("tBTCF0:USTF0") or "")) == 23
    assert len(lived(of, 20, topic)) == 4


def test_funding_is_lent_with_a_period() -> None:
    of, topic = market("fUSD"), Topic("trades", "fUSD")
    texts = [event.payloads[0] for event in lived(of, 600, topic)]

    assert {text[:6] for text in texts} == {'"fte",', '"ftu",'}
    assert len(json.loads(texts[0][6:])) == 5


def test_a_night_of_sleep_is_skipped_not_played() -> None:
    of = market()
    events = lived(of, 36_000, BTC, step=36_000)

    assert 0 < len(events) < 3000, "ten hours would be seventy thousand"
    assert json.loads(events[-1].payloads[0][5:])[1] > (START + 36_000 - 601) * 1000
