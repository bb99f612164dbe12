"""The control port: what a test may ask of, and do to, the exchange. All of it is JSON.

| request              | body | answer |
|----------------------|------|--------|
| `GET /counters`      |      | violations, requests and connections, see `rules.Counters.report` |
| `GET /replay`        |      | position of the recording; 404 with the seeded market |
| `POST /faults`       | `{"kind", …}`, see `faults` | `{"kind"}` |
| `DELETE /faults`     |      | `{}`, every lasting fault ended |
| `POST /price`        | `{"symbol","price"}` | a trade at that price, now |
| `POST /keys`         | `{"permissions":{scope:["read","write"]},"label"?,"user"?}` | `{"key","secret","label","user","permissions"}` |
| `GET /keys`          |      | `{"keys":[{"key","label","user","permissions","nonce","requests","refused_nonces"}]}` |
| `PATCH /keys/{key}`  | `{"permissions"?,"nonce"?}` | the key as in `GET /keys` |
| `DELETE /keys/{key}` |      | `{}`; its sockets are closed |
| `GET /orders?user=`  |      | `{"orders":[{"id","cid","gid","user","key","symbol","kind","amount","original","price","status","active","created","updated"}]}`, amounts as text |
| `POST /orders/{id}/fill` | `{"amount"?}` | that much of a resting order is traded at its price; the order as above |
| `GET /arrivals?key=` |      | `{"arrivals":[{"at","key","path","nonce","error","ok"}]}`, oldest first, `at` in s |

What cannot be done is answered with 400 and `{"error"}`, an unknown key with 404. `user` is any
name (`"you"`); a name nobody has used yet is a new customer with full wallets.
"""  # noqa: E501

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from market.sandbox.calls import read_permissions
from market.sandbox.faults import Outs
from market.sandbox.house import House
from market.sandbox.keys import Key
from market.sandbox.orders import Order
from market.sandbox.replay import Replay
from market.sandbox.replies import json_reply
from market.sandbox.topics import Refused

USER = "you"
_BAD = (Refused, KeyError, TypeError, ValueError)


class Control:
    """Handlers of the control port. `send` carries what connections are sent, `now` is the clock,
    `keep` stores what changed."""

    def __init__(
        self,
        house: House,
        send: Callable[[Outs], None],
        now: Callable[[], float],
        keep: Callable[[], None],
    ) -> None:
        self._house, self._send, self._now, self._keep = house, send, now, keep

    def app(self) -> web.Application:
        app = web.Application()
        add = app.router.add_route
        for method, path, handler in (
            ("GET", "/counters", self._counters),
            ("GET", "/replay", self._replay),
            ("POST", "/faults", self._fault),
            ("DELETE", "/faults", self._no_faults),
            ("POST", "/price", self._price),
            ("GET", "/keys", self._keys),
            ("POST", "/keys", self._issue),
            ("PATCH", "/keys/{key}", self._change),
            ("DELETE", "/keys/{key}", self._delete),
            ("GET", "/arrivals", self._arrivals),
            ("GET", "/orders", self._orders),
            ("POST", "/orders/{order}/fill", self._fill),
        ):
            add(method, path, self._guarded(handler))
        return app

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """The handler's value as JSON, its refusals as 400 and 404."""

        async def guarded(request: web.Request) -> web.Response:
            try:
                value = await handler(request)
            except LookupError as error:
                status = 404 if request.match_info else 400
                return json_reply({"error": f"{error.args[0]}"}, status)
            except _BAD as error:
                return json_reply({"error": f"{error.args[0]}"}, 400)
            self._keep()
            return json_reply(value)

        return guarded

    async def _counters(self, request: web.Request) -> Any:
        report = self._house.rules.counters.report()
        report["connections"]["open"] = len(self._house.streams.sessions)
        report["channels"]["open"] = self._house.streams.open_channels()
        return report

    async def _replay(self, request: web.Request) -> Any:
        if not isinstance(self._house.source, Replay):
            text = '{"error":"no recording is played"}'
            raise web.HTTPNotFound(text=text, content_type="application/json")
        return self._house.source.position()

    async def _fault(self, request: web.Request) -> Any:
        arguments = await _arguments(request)
        kind = str(arguments.pop("kind", ""))
        self._send(self._house.faults.start(kind, arguments))
        return {"kind": kind}

    async def _no_faults(self, request: web.Request) -> Any:
        self._send(self._house.faults.stop())
        return {}

    async def _price(self, request: web.Request) -> Any:
        return self._house.source.control("price", await _arguments(request))

    async def _keys(self, request: web.Request) -> Any:
        return {"keys": [_named(key, _KEY) for key in self._house.keys.all()]}

    async def _issue(self, request: web.Request) -> Any:
        given, now = await _arguments(request), self._now()
        permissions = read_permissions(given["permissions"])
        user = self._house.bank.user(str(given.get("user") or USER), now)
        key = self._house.keys.issue(str(given.get("label", "")), user.name, permissions, now)
        return {"key": key.key, "secret": key.secret, "label": key.label, "user": key.user,
                "permissions": key.permissions}  # fmt: skip

    async def _change(self, request: web.Request) -> Any:
        given = await _arguments(request)
        permissions = read_permissions(given["permissions"]) if "permissions" in given else None
        nonce = int(given["nonce"]) if "nonce" in given else None
        key = self._house.keys.change(request.match_info["key"], permissions, nonce)
        return _named(key, _KEY)

    async def _delete(self, request: web.Request) -> Any:
        text = request.match_info["key"]
        self._house.keys.delete(text)
        self._send(self._house.private.key_gone(text))
        return {}

    async def _arrivals(self, request: web.Request) -> Any:
        arrivals = self._house.keys.arrivals(request.query.get("key", ""))
        return {"arrivals": [arrival.report() for arrival in arrivals]}

    async def _orders(self, request: web.Request) -> Any:
        user = request.query.get("user", "")
        orders = [o for o in self._house.orders.all() if user in ("", o.user)]
        return {"orders": [_named(order, _ORDER) for order in orders]}

    async def _fill(self, request: web.Request) -> Any:
        given = await _arguments(request)
        order = self._house.orders.get(int(request.match_info["order"]))
        if order is None:
            raise KeyError("no such order")
        if not order.active or order.pending:
            raise ValueError("the order does not rest")
        now = self._now()
        self._house.trading.fill(order, Decimal(str(given.get("amount", abs(order.amount)))), now)
        self._send(self._house.tell(now))
        return _named(order, _ORDER)


async def _arguments(request: web.Request) -> dict[str, Any]:
    return msgspec.json.decode(await request.read(), type=dict[str, Any])


_KEY = ("key", "label", "user", "permissions", "nonce", "requests", "refused_nonces")
_ORDER = ("id", "cid", "gid", "user", "key", "symbol", "kind", "amount", "original", "price",
          "status", "active", "created", "updated")  # fmt: skip


def _named(value: Key | Order, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}
