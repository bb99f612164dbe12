"""Wire arrays become structs as the exchange orders them; fields appended later do no harm."""

import json
from pathlib import Path

import msgspec
import pytest

from market.bitfinex import messages
from market.bitfinex.messages import Candle, FundingTicker, Ticker, decode_rows, is_snapshot

TICKER = "[6439.6,66.4,6439.7,48.6,-10.1,-0.0016,6439.6,4545.1,6468.5,6425]"


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text)


@pytest.mark.parametrize("appended", ["", ",null", ",1360000000000", ',"new",{"a":[1]}'])
def test_a_ticker_is_read_with_ten_fields_or_more(appended: str) -> None:
    ticker = messages.decode_ticker(TICKER[:-1] + appended + "]")
    assert (ticker.bid, ticker.ask, ticker.last, ticker.low) == (6439.6, 6439.7, 6439.6, 6425)
    assert (ticker.change, ticker.change_relative) == (-10.1, -0.0016)


def test_a_ticker_of_nine_fields_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        messages.decode_ticker("[1,2,3,4,5,6,7,8,9]")


def test_a_funding_ticker_has_its_period_before_its_size(recordings: Path) -> None:
    fixtures = json.loads((recordings / "rest/2017_bitfinex-api-node_fixtures.json").read_text())
    rows = [row for row in _arrays(fixtures) if len(row) >= 13 and row[2] == 30]
    assert rows
    ticker = msgspec.convert(rows[0], FundingTicker)
    assert (ticker.bid_period, ticker.bid_size) == (30, rows[0][3])


def _arrays(value: object) -> list[list[object]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    found = [array for item in inner for array in _arrays(item)]
    return [value, *found] if isinstance(value, list) else found


def test_a_candle_closes_before_its_high_and_low(recordings: Path) -> None:
    file = recordings / "rest/2018-08-10_tBTCUSD_1m_candles.json"
    candles = msgspec.json.decode(file.read_bytes(), type=list[Candle])
    assert len(candles) == 1000
    assert all(c.low <= min(c.open, c.close) for c in candles)
    assert all(c.high >= max(c.open, c.close) for c in candles)


def test_numbers_keep_the_spelling_of_the_wire() -> None:
    ticker = messages.decode_ticker("[3.8e-7,47.914412330000005,1,2,3,4,5,6,7,8]")
    assert msgspec.json.encode(ticker).startswith(b"[3.8e-7,47.914412330000005,1,2,")


def test_a_missing_price_is_none() -> None:
    assert messages.decode_ticker("[null,1,null,1,1,1,null,1,1,1]") == Ticker(
        None, 1, None, 1, 1, 1, None, 1, 1, 1
    )


@pytest.mark.parametrize("text", ["[[1]]", "[]", "[ [1]]", "[\n ]"])
def test_a_list_of_rows_is_a_snapshot(text: str) -> None:
    assert is_snapshot(raw(text))


def test_one_row_is_an_update() -> None:
    assert not is_snapshot(raw("[1,2,3]"))


def test_books_of_every_kind_are_read() -> None:
    (level,) = decode_rows(raw("[36167,0,1]"), messages.decode_level)
    assert (level.price, level.count, level.amount) == (36167, 0, 1)
    (order,) = decode_rows(raw("[[961,31534,0.02]]"), messages.decode_raw_level)
    assert (order.order_id, order.price) == (961, 31534)
    (offer,) = decode_rows(raw("[0.0007,30,2,5000]"), messages.decode_funding_level)
    assert (offer.rate, offer.period, offer.count, offer.amount) == (0.0007, 30, 2, 5000)
    (single,) = decode_rows(raw("[77,30,0.0007,5000]"), messages.decode_raw_funding_level)
    assert (single.offer_id, single.period, single.rate) == (77, 30, 0.0007)


@pytest.mark.parametrize(
    "text",
    ["", "[", "nope", "[NaN]", "[1e400,1]", "1" * 5000, "[" * 5000, "\ud800", b"\xff", b'["\xff"]'],
)
def test_unreadable_text_raises_what_readers_expect(text: str | bytes) -> None:
    with pytest.raises(messages.UNREADABLE):
        messages.decode_event(text)
    with pytest.raises(messages.UNREADABLE):
        messages.decode_ticker(text)
