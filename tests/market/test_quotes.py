"""The table of quotes: newest values, the way each row is known, and one encoding for everybody."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bitfinex.messages import FundingTicker, Ticker
from market.quotes import (
    FIELDS,
    FUNDING_FIELDS,
    FundingQuote,
    Quote,
    QuoteBook,
    Source,
    decode,
    encode,
    plain,
)


def ticker(last: float = 100.5, bid: float = 100) -> Ticker:
    return Ticker(bid, 1, 101, 2, -3, -0.03, last, 5000, 110, 90)


FUNDING = FundingTicker(0.0007, 0.0006, 30, 5000, 0.00065, 2, 10, 0, 0, 0.0006, 1e6, 0.001, 0.0005)


@pytest.fixture
def book() -> QuoteBook:
    book = QuoteBook()
    book.apply_ticker("tBTCUSD", ticker(), 1000, Source.LIVE)
    return book


def newest(book: QuoteBook, symbol: str = "tBTCUSD") -> Quote:
    quote = book.get(symbol)
    assert quote is not None
    return quote


class TestRows:
    def test_a_row_is_an_array_in_the_order_of_its_fields(self, book: QuoteBook) -> None:
        row = json.loads(book.take_all()["tBTCUSD"])
        assert dict(zip(FIELDS, row, strict=True)) == {
            "symbol": "tBTCUSD",
            "last": 100.5,
            "bid": 100,
            "ask": 101,
            "change": -3,
            "change_percent": -0.03,
            "volume": 5000,
            "high": 110,
            "low": 90,
            "seen": 1000,
            "source": 1,
        }

    def test_a_funding_row_has_three_more(self, book: QuoteBook) -> None:
        book.apply_ticker("fUSD", FUNDING, 1000, Source.SNAPSHOT)
        row = dict(zip(FUNDING_FIELDS, json.loads(book.take_all()["fUSD"]), strict=True))
        assert (row["frr"], row["bid_period"], row["ask_period"]) == (0.0007, 30, 2)
        assert FUNDING_FIELDS[: len(FIELDS)] == FIELDS

    def test_both_kinds_come_back_from_their_encoding(self, book: QuoteBook) -> None:
        book.apply_ticker("fUSD", FUNDING, 1000, Source.LIVE)
        rows = book.take_all()
        assert decode(rows["tBTCUSD"]) == newest(book)
        assert isinstance(decode(rows["fUSD"]), FundingQuote)

    def test_numbers_are_told_as_they_came(self) -> None:
        quote = Quote("t", 3.8e-7, 47.914412330000005, 1, None, None, None, 0.1, 2, 0, 1)
        assert encode(quote) == b'["t",3.8e-7,47.914412330000005,1,null,null,null,0.1,2,0,1]'


class TestTrades:
    def test_a_trade_moves_the_last_price_alone(self, book: QuoteBook) -> None:
        before = newest(book)
        book.apply_trade("tBTCUSD", 102, 5, now_ms=2000)
        assert newest(book) == msgspec.structs.replace(before, last=102, seen=2000)

    def test_an_older_trade_changes_nothing(self, book: QuoteBook) -> None:
        book.apply_trade("tBTCUSD", 102, 5, now_ms=2000)
        book.apply_trade("tBTCUSD", 99, 4, now_ms=3000)
        assert (newest(book).last, newest(book).seen) == (102, 2000)

    def test_a_ticker_after_a_trade_is_newer(self, book: QuoteBook) -> None:
        book.apply_trade("tBTCUSD", 102, 5, now_ms=2000)
        book.apply_ticker("tBTCUSD", ticker(last=101.5), 3000, Source.LIVE)
        assert newest(book).last == 101.5

    def test_a_trade_of_an_unknown_symbol_makes_no_row(self, book: QuoteBook) -> None:
        book.apply_trade("tETHUSD", 102, 5, now_ms=2000)
        assert book.symbols() == ["tBTCUSD"]


class TestSources:
    def test_marking_keeps_values_and_age(self, book: QuoteBook) -> None:
        before = newest(book)
        book.mark(["tBTCUSD", "tUNKNOWN"], Source.STALE)
        assert newest(book) == msgspec.structs.replace(before, source=2)

    def test_marking_what_is_so_already_is_no_change(self, book: QuoteBook) -> None:
        book.take_changed()
        book.mark(["tBTCUSD"], Source.LIVE)
        assert book.take_changed() == {}

    def test_saved_rows_are_stale_and_never_replace_newer_ones(self, book: QuoteBook) -> None:
        saved = QuoteBook()
        for symbol in ("tBTCUSD", "tETHUSD"):
            saved.apply_ticker(symbol, ticker(last=1), 500, Source.LIVE)
        book.load(saved.take_all())
        assert newest(book).last == 100.5
        assert (newest(book, "tETHUSD").source, newest(book, "tETHUSD").seen) == (2, 500)

    def test_saved_rows_of_another_shape_are_left_out(self, book: QuoteBook) -> None:
        book.load({"tETHUSD": '["tETHUSD",1]', "fUSD": '["fUSD",1,2]', "tLTCUSD": "x"})
        assert book.symbols() == ["tBTCUSD"]


class TestTaking:
    def test_each_change_is_taken_once(self, book: QuoteBook) -> None:
        assert set(book.take_changed()) == {"tBTCUSD"}
        assert book.take_changed() == {}

    def test_after_everything_was_taken_nothing_counts_as_changed(self, book: QuoteBook) -> None:
        assert set(book.take_all()) == {"tBTCUSD"}
        assert book.take_changed() == {}
        assert len(book) == 1

    def test_looking_at_rows_takes_nothing(self, book: QuoteBook) -> None:
        assert set(book.rows(["tBTCUSD", "tUNKNOWN"])) == {"tBTCUSD"}
        assert set(book.take_changed()) == {"tBTCUSD"}

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans())))
    def test_taken_changes_always_add_up_to_the_whole_table(
        self, steps: list[tuple[str, int, bool]]
    ) -> None:
        book = QuoteBook()
        there: dict[str, str] = {}
        for symbol, value, take in steps:
            book.apply_ticker(f"t{symbol}", ticker(last=value), value, Source.LIVE)
            book.apply_trade(f"t{symbol}", value + 1, value, value)
            there |= book.take_changed() if take else {}
        there |= book.take_changed()
        assert there == book.take_all()


def test_rows_that_are_not_kept_are_forgotten_with_their_changes() -> None:
    book = QuoteBook()
    for symbol in ("tBTCUSD", "tETHUSD"):
        book.apply_ticker(symbol, ticker(), 1, Source.LIVE)
    book.keep_only({"tETHUSD", "tXRPUSD"})
    assert list(book.symbols()) == ["tETHUSD"]
    assert list(book.take_changed()) == ["tETHUSD"]


class TestPlainNumbers:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (7, "7"),
            (7.0, "7"),
            (3.8e-7, "0.00000038"),
            (47.914412330000005, "47.914412330000005"),
            (1e22, "10000000000000000000000"),
            (-0.0268, "-0.0268"),
        ],
    )
    def test_a_number_is_plain_decimal_text(self, number: float, text: str) -> None:
        assert plain(number) == text

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_the_text_means_the_same_number(self, number: float) -> None:
        text = plain(number)
        assert float(text) == number
        assert not set(text) & set("eE+,")
