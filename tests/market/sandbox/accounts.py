"""A customer of the sandbox for tests: signs what he sends, with nonces of his own."""

import hmac
import json
from itertools import count
from typing import Any

from market.sandbox.calls import Permissions
from market.sandbox.house import House
from market.sandbox.keys import Call, Key, rest_call
from market.sandbox.orders import Order
from market.sandbox.rest import Reply
from market.sandbox.wire import encode

START = 1_790_134_414.85
NONCES = count(1_700_000_000_000_000)
ALL: Permissions = {
    scope: ["read", "write"]
    for scope in ("account", "history", "orders", "positions", "funding", "wallets")
}


def sign(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), "sha384").hexdigest()


def headers(key: str, secret: str, path: str, body: str, nonce: int | str = "") -> dict[str, str]:
    """Headers of a signed call; `path` without `/v2/`."""
    nonce = nonce or next(NONCES)
    signature = sign(secret, f"/api/v2/{path}{nonce}{body}")
    return {"bfx-nonce": str(nonce), "bfx-apikey": key, "bfx-signature": signature,
            "content-type": "application/json"}  # fmt: skip


def signed(key: Key, path: str, body: str = "{}", nonce: int | str = "") -> Call:
    """A call as it arrives."""
    given = headers(key.key, key.secret, path, body, nonce)
    return rest_call(path, given, body.encode())


def auth_event(key: str, secret: str, nonce: int = 0, **more: Any) -> str:
    """The log-in of a WebSocket."""
    nonce = nonce or next(NONCES)
    payload = f"AUTH{nonce}"
    event = {"event": "auth", "apiKey": key, "authSig": sign(secret, payload),
             "authPayload": payload, "authNonce": nonce}  # fmt: skip
    return json.dumps({**event, **more})


class Customer:
    """Talks REST to a house without a network, `clock` seconds after START."""

    def __init__(self, house: House, key: Key) -> None:
        self.house, self.key, self.clock = house, key, START

    def call(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Reply:
        text = "" if body is None else json.dumps(body)
        call = signed(self.key, path, text)
        return self.house.account.answer(method, call, text.encode(), self.clock)

    def ask(self, path: str, **body: Any) -> Any:
        """The value of a call that succeeds."""
        reply = self.call(path, body)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def error(self, path: str, **body: Any) -> tuple[int, str]:
        """Code and text of a call that is refused."""
        reply = self.call(path, body)
        assert reply.status == 500, reply.body
        word, code, text = json.loads(reply.body)
        assert word == "error"
        return code, text

    def submit(self, amount: float | str, price: float | str = 0, **more: Any) -> list[Any]:
        """The row of an order placed on tBTCUSD, as it is after that."""
        body = {"type": "EXCHANGE LIMIT", "symbol": "tBTCUSD", "amount": str(amount),
                "price": str(price), **more}  # fmt: skip
        answer = self.ask("auth/w/order/submit", **body)
        assert answer[6] == "SUCCESS", answer
        return self.row(answer[4][0][0])

    def order(self, number: int) -> Order:
        order = self.house.orders.get(number)
        assert order is not None
        return order

    def row(self, number: int) -> list[Any]:
        row: list[Any] = json.loads(encode(self.order(number).row()))
        return row

    def wallet(self, currency: str, kind: str = "exchange") -> tuple[float, float]:
        """Balance and what is available of it."""
        wallet = self.house.bank.wallet(self.key.user, kind, currency)
        return float(wallet.balance), float(wallet.available)

    def notices(self) -> list[str]:
        """Codes of what sockets are told, since asked last."""
        return [notice.code for notice in self.house.trading.take_notices()]

    def price(self, price: float, symbol: str = "tBTCUSD", seconds: float = 1) -> None:
        """The market jumps to a price, and some time passes."""
        self.house.source.control("price", {"symbol": symbol, "price": price})
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        self.clock += seconds
        self.house.streams.advance(self.clock)
        self.house.trading.advance(self.clock)
