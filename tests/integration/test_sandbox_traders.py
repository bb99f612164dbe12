"""Clients that nobody here wrote trade on the sandbox, unmodified: it behaves as they expect of
Bitfinex. They run in an environment of their own, made from tests/bench/traders.txt."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import servers
from tests.bench.workshop import Workshop
from tests.market.sandbox.accounts import ALL

SCRIPTS = Path(__file__).parent / "traders"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Exchange]:
    exchange = servers.Exchange(tmp_path_factory.mktemp("exchange"))
    yield exchange
    exchange.stop()


@pytest.fixture
def trade(exchange: servers.Exchange) -> Callable[[str], Any]:
    """What a trader saw who came with a fresh account."""

    def trade(script: str) -> Any:
        python = Workshop(servers.ROOT / "data" / "cache" / "bench").traders()
        given = {"permissions": ALL, "user": script}
        key = requests.post(f"{exchange.control}/keys", json=given, timeout=5).json()
        command = [python, SCRIPTS / f"{script}.py", exchange.url, key["key"], key["secret"]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return trade


def test_bitfinex_api_py_trades_by_rest(trade: Callable[[str], Any]) -> None:
    not_enough = "not enough exchange balance for 100 BTCUSD at 30000"

    assert trade("official_rest") == {
        "user": "official_rest",
        "wallets": 23,
        "submit": ["SUCCESS", "ACTIVE", 5, 7],
        "update": ["SUCCESS", 31000],
        "cancel": ["SUCCESS", [], "CANCELED"],
        "trade": ["tBTCUSD", -0.01, "USD", -1],
        "of order": [True],
        "ledger": ["USD", "USD"],
        "cancel multi": ["SUCCESS", 3],
        "margin": ["tBTCUSD", 0.02, True],
        "pair margin": True,
        "transfer": ["SUCCESS", 10],
        "rejected": ["ERROR", "Invalid order: minimum size for BTC/USD is 0.00007", None],
        "refused": "The request was rejected with the following generic error: "
        f"<Invalid order: {not_enough}>.",
    }


def test_bitfinex_api_py_trades_by_socket(trade: Callable[[str], Any]) -> None:
    seen = trade("official_socket")

    seen.remove("OK")  # told apart from the others, in a task of its own
    assert seen == [
        "position_snapshot", "wallet_snapshot", "order_snapshot", "balance_update",
        "on-req-notification", "order_new", "order_cancel", "trade_execution",
        "trade_execution_update", "on-req-notification", "order_new", "oc-req-notification",
        "order_cancel",
    ]  # fmt: skip


def test_ccxt_trades(trade: Callable[[str], Any], exchange: servers.Exchange) -> None:
    seen = trade("ccxt_rest")

    assert seen.pop("markets") > 300
    assert seen == {
        "balance": 10,
        "book": True,
        "limit": ["limit", "open", 30000, None],
        "open": ["12"],
        "edited": 31000,
        "cancelled": "canceled",
        "stop": ["market", "open", None, 20000],
        "stop limit": ["limit", "open", 19000, 20000],
        "post only": ["limit", "open", 90000, None],
        "cancel all": 3,
        "closed": ["closed", 0.01, "FOK"],
        "trade": ["sell", "taker", "USD"],
        "fees": [0.001, 0.002],
        "ledger": "fee",
        "positions": [["BTC/USDT:USDT", 5]],
        "too much": "InsufficientFunds",
        "wrong secret": "AuthenticationError",
    }
    assert exchange.counters()["violations_total"] == 0
