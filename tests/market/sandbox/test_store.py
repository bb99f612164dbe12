"""What a killed exchange finds again."""

from pathlib import Path

import pytest

from market.sandbox.house import House
from market.sandbox.store import Changes, Store
from tests.market.sandbox.accounts import Customer
from tests.market.sandbox.conftest import fresh_house


def reborn(house: House, folder: Path) -> House:
    store = Store(folder / "accounts.sqlite3")
    store.write(house.changes.take())
    again = fresh_house()
    again.load(store)
    store.close()
    return again


def test_everything_a_customer_has_survives(alice: Customer, house: House, tmp_path: Path) -> None:
    alice.submit("0.01", type="EXCHANGE MARKET")
    alice.submit("0.02", type="MARKET")
    alice.submit("0.02", symbol="tETHUSD", type="MARKET")
    alice.submit("-0.02", symbol="tETHUSD", type="MARKET")
    alice.submit("0.1", 40000, cid=5, gid=6, flags=64, meta={"x": 1})
    alice.submit("-0.1", 30000, type="EXCHANGE STOP")
    gone = alice.submit("0.1", 40000)[0]
    alice.ask("auth/w/order/cancel", id=gone)
    again = Customer(reborn(house, tmp_path), alice.key)
    again.clock = alice.clock

    for path in ("wallets", "orders", "orders/hist", "trades/hist", "ledgers/hist", "info/user",
                 "positions/snap", "positions/hist"):  # fmt: skip
        assert again.ask(f"auth/r/{path}") == alice.ask(f"auth/r/{path}"), path


def test_orders_go_on_where_they_were(alice: Customer, house: House, tmp_path: Path) -> None:
    rests = alice.submit("0.1", 49000)[0]
    waits = alice.submit("-0.1", 48500, type="EXCHANGE STOP")[0]
    again = Customer(reborn(house, tmp_path), alice.key)
    again.clock = alice.clock
    fresh = again.submit("0.1", 40000)[0]
    assert fresh > waits > rests
    again.price(48000)

    assert [again.row(number)[6] for number in (rests, waits, fresh)] == [0, 0, 0.1]


def test_a_change_is_written_once_and_a_row_can_go(tmp_path: Path) -> None:
    changes, store = Changes(), Store(tmp_path / "x" / "accounts.sqlite3")
    for number in range(3):
        changes.put("kind", "name", number)
    changes.put("kind", "other", 7)
    store.write(changes.take())
    assert changes.take() == []
    assert store.load("kind", int) == [2, 7]
    changes.drop("kind", "name")
    store.write(changes.take())
    assert store.load("kind", int) == [7]


def test_a_row_of_another_form_stops_the_start(tmp_path: Path) -> None:
    changes, store = Changes(), Store(tmp_path / "accounts.sqlite3")
    changes.put("order", "5", {"id": "five"})
    store.write(changes.take())

    with pytest.raises(ValueError, match="Expected `int`, got `str`"):
        fresh_house().load(store)
