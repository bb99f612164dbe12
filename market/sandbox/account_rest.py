"""Account REST v2 as a function of a signed call: bodies, errors and statuses, no I/O.

Layouts are those of docs.bitfinex.com (rest-auth) and of recorded responses.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from market.sandbox import rest
from market.sandbox.calls import CALLS, SCOPES, endpoint, permit
from market.sandbox.keys import Call, Key, Keys
from market.sandbox.wallets import Bank
from market.sandbox.wire import Denied, encode


class Ask(NamedTuple):
    """An admitted call. `rest` is what follows the endpoint: `tBTCUSD/hist`, or nothing."""

    key: Key
    rest: str
    body: dict[str, Any]
    now: float

    @property
    def user(self) -> str:
        return self.key.user


class AccountRest:
    """Answers signed calls."""

    def __init__(self, keys: Keys, bank: Bank) -> None:
        self._keys, self._bank = keys, bank
        self._handlers: dict[str, Callable[[Ask], Any]] = {
            "auth/r/permissions": self._permissions,
            "auth/r/info/user": self._user,
            "auth/r/wallets": self._wallets,
        }

    def answer(self, method: str, call: Call, body: bytes, now: float) -> rest.Reply:
        """Check the call on arrival, then carry it out. A handler answers None when there is
        nothing by that path."""
        name = endpoint(call.path) or ""
        handler = self._handlers.get(name)
        if method != "POST" or handler is None:
            return rest.not_found(method, f"/v2/{call.path}")
        try:
            key = self._keys.admit(call, now)
            permit(key.permissions, CALLS[name])
            value = handler(Ask(key, call.path.removeprefix(name)[1:], read_body(body), now))
        except Denied as denied:
            return rest.error(denied.code, denied.text)
        if value is None:
            return rest.not_found(method, f"/v2/{call.path}")
        return rest.Reply(200, encode(value))

    def _permissions(self, ask: Ask) -> Any:
        if ask.rest:
            return None
        given = ask.key.permissions
        return [[scope, *(int(act in given.get(scope, ())) for act in ("read", "write"))]
                for scope in SCOPES]  # fmt: skip

    def _user(self, ask: Ask) -> Any:
        return None if ask.rest else self._bank.user(ask.user, ask.now).row()

    def _wallets(self, ask: Ask) -> Any:
        if ask.rest:
            return None
        return [wallet.row() for wallet in self._bank.wallets(ask.user)]


def read_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a call; nothing at all stands for `{}`."""
    try:
        value = msgspec.json.decode(body or b"{}")
    except msgspec.MsgspecError:
        value = None
    if not isinstance(value, dict):
        raise Denied(10020, "body: invalid")
    return value
