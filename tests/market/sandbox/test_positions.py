"""Margin: positions, what they need, and the orders that only reduce them."""

from typing import Any

import pytest

from market.sandbox.house import House
from tests.market.sandbox.accounts import Customer

SUBMIT = "auth/w/order/submit"


def trade(alice: Customer, amount: str, **more: Any) -> list[Any]:
    return alice.submit(amount, **{"type": "MARKET", **more})


def positions(alice: Customer) -> list[Any]:
    rows: list[Any] = alice.ask("auth/r/positions")
    assert {len(row) for row in rows} <= {20}
    return rows


def test_a_margin_order_opens_changes_and_closes_a_position(alice: Customer) -> None:
    before = alice.wallet("USD", "margin")[0]
    entry = trade(alice, "0.1")[17]
    ((symbol, status, amount, base, *_),) = positions(alice)
    assert (symbol, status, amount, base) == ("tBTCUSD", "ACTIVE", 0.1, entry)
    assert alice.wallet("USD")[0] == 100_000, "the exchange wallet has no part in it"
    assert alice.wallet("USD", "margin")[0] == pytest.approx(before - 0.1 * entry * 0.002)

    alice.price(60000)
    assert positions(alice)[0][6] == pytest.approx(0.1 * (60000 - entry))
    leave = trade(alice, "-0.1")[17]
    gain = 0.1 * (leave - entry) - 0.1 * (entry + leave) * 0.002
    assert alice.wallet("USD", "margin")[0] == pytest.approx(before + gain, abs=1e-4)
    assert positions(alice) == []
    ((*_,),) = closed = alice.ask("auth/r/positions/hist")
    assert (closed[0][1], closed[0][2]) == ("CLOSED", 0)


def test_frames_of_a_margin_fill_come_in_the_recorded_order(alice: Customer) -> None:
    trade(alice, "0.01")
    assert alice.notices() == ["on", "oc", "te", "tu", "wu", "pn"]
    trade(alice, "0.01")
    assert alice.notices()[-1] == "pu"
    trade(alice, "-0.02")
    assert alice.notices()[-1] == "pc"


def test_a_position_averages_and_turns(alice: Customer) -> None:
    first = trade(alice, "0.1")[17]
    alice.price(52000)
    second = trade(alice, "0.1")[17]
    assert positions(alice)[0][3] == pytest.approx((first + second) / 2)
    last = trade(alice, "-0.3")[17]
    ((_, _, amount, base, *_),) = positions(alice)
    assert amount == -0.1
    assert base == pytest.approx(last, rel=1e-3)


def test_margin_is_limited_by_what_the_wallets_are_worth(alice: Customer) -> None:
    base = alice.ask("auth/r/info/margin/base")
    assert base[0] == "base"
    assert base[1][2] == pytest.approx(base[1][3])
    kind, symbol, (tradable, *_, sell, _a, _b, _c, _d) = alice.ask("auth/r/info/margin/tBTCUSD")
    assert (kind, symbol) == ("sym", "tBTCUSD")
    assert tradable == pytest.approx(base[1][3] / 0.3)
    too_much = str(int(sell) + 1)

    body = {"type": "LIMIT", "symbol": "tBTCUSD", "amount": too_much, "price": "50000"}
    assert "not enough tradable balance" in alice.error(SUBMIT, **body)[1]
    assert alice.submit("1", 40000, type="LIMIT")[13] == "ACTIVE"
    rows = alice.ask("auth/r/info/margin/sym_all")
    assert all(row[0] == "sym" for row in rows)
    assert alice.error("auth/r/info/margin/tNOPE") == (10020, "symbol: invalid")


def test_reduce_only_and_close_need_a_position(alice: Customer) -> None:
    body = {"type": "MARKET", "symbol": "tBTCUSD", "amount": "-1", "flags": 1024}
    assert alice.ask(SUBMIT, **body)[6:] == ["ERROR", "Invalid order: no position to reduce"]
    trade(alice, "0.1")
    assert alice.ask(SUBMIT, **{**body, "amount": "1"})[6] == "ERROR"
    assert trade(alice, "-5", flags=1024)[7] == -0.1, "cut to the position"
    assert positions(alice) == []
    trade(alice, "-0.2")
    assert trade(alice, "0", flags=512)[7] == 0.2
    assert positions(alice) == []


def test_derivatives_have_leverage_and_collateral(alice: Customer, house: House) -> None:
    symbol = "tBTCF0:USTF0"
    row = alice.submit("0.1", symbol=symbol, type="MARKET", lev=20)
    assert row[31] == {"lev": 20, "$F33": 20}
    (position,) = positions(alice)
    assert (position[0], position[9], position[15]) == (symbol, 20, 1)
    assert position[17] == pytest.approx(0.1 * position[3] / 20)
    last = float(house.venue.last(symbol) or 0)
    huge = str(round(50_000 * 10 / last * 1.1, 2))
    body = {"type": "LIMIT", "symbol": symbol, "price": str(last), "amount": huge}
    assert "not enough tradable balance" in alice.error(SUBMIT, **body)[1]
