"""Recorded answers and documentation samples: each is read, and each number kept digit by digit."""

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from market.bitfinex import account, orders, rest
from market.bitfinex.account import (
    Notification,
    Order,
    OwnTrade,
    Position,
    Row,
    Wallet,
)
from market.bitfinex.errors import Rejected
from market.bitfinex.orders import NewOrder


class Sample(NamedTuple):
    name: str
    path: str
    response: bytes


class _Line(msgspec.Struct):
    name: str
    path: str
    response: msgspec.Raw


RECORDED = "2022-2024_ccxt_recorded_responses.jsonl"
DOCUMENTED = "bitfinex.net_endpoint_samples.jsonl"
READS: dict[str, rest.Request[Any]] = {
    "auth/r/wallets": account.wallets(),
    "auth/r/orders": account.open_orders(),
    "auth/r/orders/hist": account.orders_hist(),
    "auth/r/order/trades": account.order_trades("tBTCUSD", 1),
    "auth/r/trades/hist": account.trades_hist(),
    "auth/r/positions": account.positions(),
    "auth/r/positions/hist": account.positions(),
    "auth/r/positions/snap": account.positions(),
    "auth/r/positions/audit": account.positions(),
    "auth/r/ledgers/hist": account.ledgers(),
}
FRAMES: dict[str, Callable[[bytes], Sequence[Row]]] = {
    **dict.fromkeys(["os", "on", "ou", "oc"], account.decoder(list[Order])),
    **dict.fromkeys(["ws", "wu"], account.decoder(list[Wallet])),
    **dict.fromkeys(["te", "tu"], account.decoder(list[OwnTrade])),
    **dict.fromkeys(["ps", "pn", "pu", "pc"], account.decoder(list[Position])),
}


def samples(recordings: Path) -> Iterator[Sample]:
    for name in (RECORDED, DOCUMENTED):
        for text in (recordings / "rest" / name).read_bytes().splitlines():
            line = msgspec.json.decode(text, type=_Line)
            yield Sample(line.name, line.path.removeprefix("/v2/"), bytes(line.response))


def endpoint(path: str) -> str:
    """A path without its symbol: symbols begin with `t`."""
    parts = path.split("/")
    return "/".join(part for part in parts if part == "trades" or not part.startswith("t"))


def exactly(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def assert_kept(read: Row, written: list[Any]) -> None:
    """Each named field is what stands at its place, digit by digit."""
    for name, value in zip(read.__struct_fields__, written, strict=False):
        kept = getattr(read, name)
        if isinstance(kept, Decimal):
            assert kept.as_tuple() == value.as_tuple(), name
        elif isinstance(kept, int):
            assert kept == Decimal(value), name  # history may send it as text
        else:
            assert kept == value, name


def test_every_sample_of_a_list_is_read_and_kept(recordings: Path):
    seen = set()
    for one in samples(recordings):
        request = READS.get(endpoint(one.path))
        if request is not None:
            written = exactly(one.response)
            rows = rest.parse(request, 200, one.response)
            for row, fields in zip(rows, written, strict=True):
                assert_kept(row, fields)
            seen.add(endpoint(one.path))
    assert seen == set(READS)


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("Spot/Account/GetUserInfo", account.user_info()),
        ("Spot/Account/GetBaseMarginInfo", account.margin_base()),
        ("Spot/Account/GetSymbolMarginInfo", account.margin_symbol("tBTCUSD")),
    ],
)
def test_every_other_read_is_read_and_kept(
    recordings: Path, name: str, request_: rest.Request[Any]
):
    [response] = [one.response for one in samples(recordings) if one.name == name]
    written = exactly(response)
    fields = written if name.endswith("UserInfo") else written[-1]
    assert_kept(rest.parse(request_, 200, response), fields)


@pytest.mark.parametrize(
    ("name", "order", "cid"),
    [
        ("createOrder spot limit", ("tLTCUST", Decimal("0.1"), Decimal(50)), 1717587431027),
        ("Spot/Trading/PlaceOrder", ("tBTCUSD", Decimal("0.1"), Decimal(10000)), 1678987199446),
    ],
)
def test_the_answer_to_a_submit_is_read(
    recordings: Path, name: str, order: tuple[str, Decimal, Decimal], cid: int
):
    symbol, amount, price = order
    [response] = [one.response for one in samples(recordings) if one.name == name]
    request = orders.submit(NewOrder(symbol, "buy", "EXCHANGE LIMIT", amount, price), cid)
    [row] = rest.parse(request, 200, response)
    assert_kept(row, exactly(response)[4][0])
    assert (row.amount_orig, row.price, orders.order_state(row.status)) == (amount, price, "active")


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("cancel order", orders.cancel(139472205825)),
        ("Spot/Trading/CancelOrder", orders.cancel(1747566428)),
        ("update order", orders.update(139658969116, price=Decimal(35000))),
    ],
)
def test_the_answer_to_a_change_is_read(recordings: Path, name: str, request_: rest.Request[Order]):
    [response] = [one.response for one in samples(recordings) if one.name == name]
    assert_kept(rest.parse(request_, 200, response), exactly(response)[4])


@pytest.mark.parametrize(
    "name", ["cancel multi (one of two shown in source)", "Spot/Trading/CancelOrders"]
)
def test_the_answer_to_several_cancels_is_read(recordings: Path, name: str):
    [response] = [one.response for one in samples(recordings) if one.name == name]
    [row] = rest.parse(orders.cancel_all(), 200, response)
    assert_kept(row, exactly(response)[4][0])


def test_orders_inside_several_operations_are_read(recordings: Path):
    name = "order multi-op (one of two shown in source)"
    [response] = [one.response for one in samples(recordings) if one.name == name]
    many = account.decoder(Notification)(response)
    [single] = account.decoder(list[msgspec.Raw])(many.data)
    order = NewOrder("tBTCUST", "buy", "EXCHANGE LIMIT", Decimal("0.0001"), Decimal(35000))
    [row] = rest.parse(orders.submit(order, 1706762515551), 200, bytes(single))
    assert row.id == 139567428547


# --- The authenticated socket ---------------------------------------------------------------------
def frames(recordings: Path) -> Iterator[tuple[str, bytes]]:
    """Code and payload of every frame of the account channel that an exchange sent."""
    for path in sorted((recordings / "ws_auth").glob("*.jsonl")):
        for text in path.read_bytes().splitlines():
            message: msgspec.Raw | bytes = text
            if text.startswith(b"{"):
                line = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
                if bytes(line.get("dir", b"")) == b'"out"' or "msg" not in line:
                    continue
                message = line["msg"]
            if bytes(message).startswith(b"[0,"):
                parts = msgspec.json.decode(message, type=list[msgspec.Raw])
                yield bytes(parts[1]).decode().strip('"'), bytes(parts[-1])


def test_every_frame_of_an_account_is_read_and_kept(recordings: Path):
    seen: dict[str, int] = {}
    for code, payload in frames(recordings):
        if code in FRAMES:
            many = payload.startswith((b"[[", b"[]"))
            text = payload if many else b"[" + payload + b"]"
            rows = FRAMES[code](text)
            for row, fields in zip(rows, exactly(text), strict=True):
                assert_kept(row, fields)
            seen[code] = seen.get(code, 0) + len(rows)
    assert {"on", "oc", "ou", "os", "ws", "wu", "te", "tu", "ps", "pu"} <= set(seen)
    assert sum(seen.values()) > 60


def test_refusals_of_orders_are_told_in_the_words_of_the_exchange(recordings: Path):
    """Frames of the socket, whose notifications are those of REST."""
    order = NewOrder("tBTCUSD", "buy", "MARKET", Decimal("0.001"))
    lines = (recordings / "errors" / "ws_auth_error_frames.jsonl").read_bytes().splitlines()
    refusals = [msgspec.json.decode(line, type=list[msgspec.Raw])[2] for line in lines[2:]]
    texts = []
    for body in refusals:
        with pytest.raises(Rejected) as caught:
            rest.parse(orders.submit(order, 7), 200, bytes(body))
        texts.append(caught.value.text)
    assert texts == ["Invalid order: minimum size for BTC/USD is 0.002", "amount: invalid"]
