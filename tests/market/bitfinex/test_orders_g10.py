"""G10: what is traded with is exact from a Decimal to the wire and back, or is not sent."""

import ast
import json
import re
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from market.bitfinex import orders, rest
from market.bitfinex.errors import Unreadable
from market.bitfinex.orders import NewOrder, OrderInvalid
from tests.market.bitfinex.answers import notified, row

ROOT = Path(__file__).resolve().parents[3]
ORDER_PATH = [
    "market/bitfinex/account.py",
    "market/bitfinex/orders.py",
    "market/intents.py",
    "market/order_checks.py",
    "market/orders.py",
    "market/rates.py",
    "market/resolver.py",
]
PLAIN = re.compile(r"-?\d{1,12}(\.\d{1,8})?", re.ASCII)

amounts = st.builds(
    lambda digits, places: Decimal((0, tuple(map(int, str(digits))), -places)),
    st.integers(1, 10**12 - 1),
    st.integers(0, 8),
)
prices = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(1, 99_999),
    st.integers(-6, 8),
)
anything = st.one_of(
    st.text(),
    st.text("0123456789+-_.,eE ٣３NnaIif", max_size=12),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.binary(),
    st.none(),
    st.complex_numbers(),
    st.fractions(),
    st.lists(st.integers()),
    st.decimals().filter(lambda d: not d.is_finite() or d <= 0),
)


def sent(**fields: Any) -> dict[str, Any]:
    order = NewOrder("tBTCUSD", order_type="EXCHANGE LIMIT", **fields)
    body: dict[str, Any] = json.loads(orders.submit(order, 7).body)
    return body


@given(amount=amounts, price=prices, side=st.sampled_from(["buy", "sell"]))
@example(amount=Decimal("1E-8"), price=Decimal("1E-8"), side="sell")
@example(amount=Decimal("1E+11"), price=Decimal("9.9999E+11"), side="buy")
def test_g10_a_number_is_on_the_wire_what_it_was_before(amount: Decimal, price: Decimal, side: str):
    body = sent(side=side, amount=amount, price=price)
    assert PLAIN.fullmatch(body["amount"])
    assert PLAIN.fullmatch(body["price"])
    assert Decimal(body["amount"]) == (amount if side == "buy" else -amount)
    assert Decimal(body["price"]) == price


@given(amount=amounts, price=prices)
def test_g10_no_decimal_context_of_a_caller_rounds_an_order(amount: Decimal, price: Decimal):
    with localcontext(Context(prec=1)):
        body = sent(side="sell", amount=amount, price=price)
    assert (Decimal(body["amount"]), Decimal(body["price"])) == (amount.copy_negate(), price)


@given(value=anything, field=st.sampled_from(["amount", "price"]))
def test_g10_text_and_other_numbers_never_make_a_body(value: Any, field: str):
    fields = {"side": "buy", "amount": Decimal(1), "price": Decimal(1)} | {field: value}
    with pytest.raises(OrderInvalid):
        sent(**fields)


@given(
    value=anything.filter(lambda value: value is not None),
    name=st.sampled_from(["price", "amount"]),
)
def test_g10_they_never_make_an_update_either(value: Any, name: str):
    try:
        body = json.loads(orders.update(5, **{name: value}).body)
    except OrderInvalid:
        return
    assert name == "amount"  # a rest below 0 is a sale
    assert PLAIN.fullmatch(body["amount"])
    assert Decimal(body["amount"]) == value


@given(amount=st.decimals(-(10**9), 10**9, allow_nan=False), price=prices)
def test_g10_digits_of_an_answer_are_kept_as_they_are(amount: Decimal, price: Decimal):
    text = notified("on-req", [row()]).replace(b"0.1, 0.1", f"{amount:e}, {amount}".encode())
    text = text.replace(b"20000", f"{price}".encode())
    request = orders.submit(NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal(1), Decimal(1)), 7)
    [order] = rest.parse(request, 200, text)
    assert (order.amount, order.amount_orig, order.price) == (amount, amount, price)


@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", '"NaN"', '"sNaN"', '"Infinity"', "1e400", "1e-999999999",
     "1e99999999999999999999", "9" * 400, '"1,5"', "[1]", "true", "0x10", "01", "1."],
)  # fmt: skip
def test_g10_a_number_that_is_none_makes_an_answer_unreadable(number: str):
    text = notified("on-req", [row()]).replace(b"0.1, 0.1", f"{number}, 0.1".encode())
    request = orders.submit(NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal(1), Decimal(1)), 7)
    with pytest.raises(Unreadable):
        rest.parse(request, 200, text)


def floats(source: str) -> list[str]:
    """Where a syntax tree makes a float: by its name, or by a literal."""
    found: list[Callable[[ast.AST], bool]] = [
        lambda node: isinstance(node, ast.Call) and ast.unparse(node.func) == "float",
        lambda node: isinstance(node, ast.Constant) and isinstance(node.value, float),
    ]
    nodes = ast.walk(ast.parse(source))
    return [ast.unparse(node) for node in nodes if any(is_float(node) for is_float in found)]


def test_g10_the_search_for_floats_finds_them():
    assert floats("a = float('1')\nb = 0.5\nc = 1 + a") == ["float('1')", "0.5"]


@pytest.mark.parametrize("module", [path for path in ORDER_PATH if (ROOT / path).is_file()])
def test_g10_no_float_is_made_on_the_way_of_an_order(module: str):
    assert floats((ROOT / module).read_text()) == []
