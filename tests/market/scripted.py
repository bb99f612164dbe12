"""A client that answers as the test says, and rows as the exchange would send them."""

from collections import defaultdict
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec

from accounts.models import ApiKey
from market.bitfinex.account import Order
from market.bitfinex.rest import Request
from market.client import BeforeSend, RestClient
from market.intents import read_order
from market.models import OrderIntent

SUBMIT, UPDATE = "auth/w/order/submit", "auth/w/order/update"
CANCEL, CANCEL_MANY = "auth/w/order/cancel", "auth/w/order/cancel/multi"
OPEN, HISTORY = "auth/r/orders", "auth/r/orders/hist"
TICKERS = "tickers"


class ScriptedClient(RestClient):
    """`answers` holds for each path what comes next: a value, an error to raise, or a function of
    the request; the last one stays. Every write is told to have left before it is answered."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = defaultdict(list)
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.nonces = count(1)
        self.attempts = 1

    def call(self, request: Request[Any], key: ApiKey | None = None, **options: Any) -> Any:
        self.asked.append((request.path, options.get("lane", "read")))
        self.bodies.append(msgspec.json.decode(request.body) if request.body else {})
        before_send: BeforeSend | None = options.get("before_send")
        if before_send is not None:
            for _ in range(self.attempts):
                before_send(next(self.nonces))
        queue = self.answers[request.path]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def order_row(**changed: Any) -> Order:
    fields: dict[str, Any] = {
        "id": 33950998275,
        "gid": None,
        "cid": 7,
        "symbol": "tBTCUSD",
        "mts_create": 1_795_348_800_000,
        "mts_update": 1_795_348_800_000,
        "amount": Decimal("0.01"),
        "amount_orig": Decimal("0.01"),
        "type": "EXCHANGE LIMIT",
        "type_prev": None,
        "mts_tif": None,
        "_unused_11": None,
        "flags": 0,
        "status": "ACTIVE",
        "_unused_14": None,
        "_unused_15": None,
        "price": Decimal(20_000),
        "price_avg": Decimal(0),
    }
    return Order(**{**fields, **changed})


def row_of(intent: OrderIntent, **changed: Any) -> Order:
    """As the exchange has this order."""
    order = read_order(intent)
    amount = order.signed_amount
    own = {"cid": intent.cid, "symbol": order.symbol, "amount": amount, "amount_orig": amount}
    return order_row(**{**own, "price": order.price, "type": order.order_type, **changed})


def placed(request: Request[Any]) -> list[Order]:
    """The answer to a submit that the exchange accepts."""
    body = msgspec.json.decode(request.body)
    amount = Decimal(body["amount"])
    return [order_row(cid=body["cid"], symbol=body["symbol"], amount=amount, amount_orig=amount)]
