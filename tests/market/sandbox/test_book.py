import zlib

import pytest

from market.sandbox.book import Book, Order, View, checksum, rounded


def book_of(*orders: tuple[float, float]) -> Book:
    """Orders as (price, signed amount in whole coins), numbered from 1."""
    book = Book()
    for number, (price, amount) in enumerate(orders, start=1):
        book.add(Order(number, price, int(abs(amount) * 1e8)), bid=amount > 0)
    return book


def test_levels_sum_the_orders_of_a_price_and_come_best_first() -> None:
    book = book_of((99, 1), (100, 2), (100, 0.5), (101, -3), (102, -0.00000001))

    bids, asks = book.lines("P0", 25)
    assert [line.row for line in bids] == ["[100,2,2.5]", "[99,1,1]"]
    assert [line.row for line in asks] == ["[101,1,-3]", "[102,1,-1e-8]"]


def test_raw_books_list_orders_by_price_then_age() -> None:
    book = book_of((100, 2), (101, 1), (100, 0.5), (103, -1))

    bids, asks = book.lines("R0", 25)
    assert [line.row for line in bids] == ["[2,101,1]", "[1,100,2]", "[3,100,0.5]"]
    assert [line.row for line in asks] == ["[4,103,-1]"]


def test_coarser_precisions_round_bids_down_and_asks_up() -> None:
    book = book_of((58123, 1), (58119, 1), (58124, -1), (58133, -1))

    bids, asks = book.lines("P1", 25)
    assert [line.row for line in bids] == ["[58120,1,1]", "[58110,1,1]"]
    assert [line.row for line in asks] == ["[58130,1,-1]", "[58140,1,-1]"]
    assert rounded(0.00005767, 2, up=True) == 0.000058


def test_funding_books_have_a_period_and_positive_offers() -> None:
    book = Book(funding=True)
    book.add(Order(7, 0.0004, 5_000_00000000, 30), bid=False)
    book.add(Order(8, 0.0003, 10_00000000, 2), bid=True)

    (bid,), (ask,) = book.lines("P0", 25)
    assert (ask.row, bid.row) == ("[0.0004,30,1,5000]", "[0.0003,2,1,-10]")
    assert ask.gone == "[0.0004,30,0,1]"
    assert book.lines("R0", 25)[1][0].row == "[7,30,0.0004,5000]"


def test_a_view_tells_deletions_and_changes_and_keeps_its_length() -> None:
    book = book_of((100, 1), (99, 1), (101, -1))
    view = View(book, "P0", 1)
    assert view.rows() == ["[100,1,1]", "[101,1,-1]"]

    book.remove(1, bid=True)
    book.add(Order(4, 101.0, 100000000), bid=False)
    assert view.update() == ["[100,0,1]", "[99,1,1]", "[101,2,-2]"]
    assert view.update() == []


def test_a_price_that_changes_sides_is_deleted_on_the_first() -> None:
    book = book_of((100, 1), (101, -1))
    view = View(book, "P0", 25)

    book.remove(1, bid=True)
    book.add(Order(3, 100.0, 200000000), bid=False)
    assert view.update() == ["[100,0,1]", "[100,1,-2]"]


def test_a_deleted_ask_is_told_with_minus_one() -> None:
    book = book_of((100, 1), (101, -1))
    view = View(book, "R0", 25)

    book.remove(2, bid=False)
    assert view.update() == ["[2,0,-1]"]


def test_the_checksum_takes_bids_and_asks_in_turn_and_skips_missing_places() -> None:
    text = "6000:1:6001:-2:5999:0.5"
    signed = zlib.crc32(text.encode())
    signed -= 1 << 32 if signed >= 1 << 31 else 0

    assert checksum(["6000:1", "5999:0.5"], ["6001:-2"]) == signed


def test_the_checksum_is_signed_and_covers_25_places() -> None:
    bids = [f"{5000 - i}:1" for i in range(26)]

    assert checksum(bids, []) == checksum(bids[:25], [])
    assert -(1 << 31) <= checksum(bids, []) < 1 << 31


@pytest.mark.parametrize(
    ("prec", "text"), [("P0", "100:3:101:-1"), ("R0", "1:1:3:-1:2:2")], ids=["levels", "orders"]
)
def test_a_views_checksum_spells_numbers_as_its_rows(prec: str, text: str) -> None:
    view = View(book_of((100, 1), (100, 2), (101, -1)), prec, 25)

    expected = zlib.crc32(text.encode())
    assert view.checksum() % (1 << 32) == expected


def test_depth_counts_price_levels_not_orders() -> None:
    book = book_of((100, 1), (100, 2), (99, 4), (98, 8))

    assert book.depth(2, bid=True) == 7_00000000


def test_guests_are_seen_but_not_among_the_books_own() -> None:
    book = Book()
    book.add(Order(1, 100.0, 50_000_000), bid=True)
    view = View(book, "P0", 25)
    book.show(Order(7, 101.0, 25_000_000), bid=True)
    book.show(Order(8, 100.0, 25_000_000), bid=True)

    assert view.update() == ["[101,1,0.25]", "[100,2,0.75]"]
    assert [order.id for order in book.shown(bid=True)] == [7, 1, 8]
    assert [order.id for order in book.side(bid=True)] == [1]
    book.hide(7, bid=True)
    book.hide(8, bid=True)
    assert view.update() == ["[101,0,1]", "[100,1,0.5]"]
