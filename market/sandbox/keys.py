"""API keys: issued, checked at the arrival of every call, and counted.

Facts are those of docs.bitfinex.com (rest-auth, ws-auth, "Requirements and limitations"): a key's
nonces strictly increase, REST and WebSocket share them, none is above 9007199254740991. They are
compared in the order in which calls *arrive*; a wrong signature uses no nonce up.
"""

import hmac
from collections import deque
from secrets import token_urlsafe
from typing import Any, NamedTuple

import msgspec

from market.sandbox.calls import Permissions
from market.sandbox.store import Changes, Store
from market.sandbox.wire import Denied

MAX_NONCE = 9007199254740991
KEPT_ARRIVALS = 50_000


class Key(msgspec.Struct):
    """A key and its books. `nonce` is the largest that was accepted."""

    key: str
    secret: str
    label: str
    user: str
    permissions: Permissions
    created: float
    nonce: int = 0
    requests: int = 0
    refused_nonces: int = 0


class Call(NamedTuple):
    """What a client signed. `path` is without its `/v2/`; for a log-in, `ws/2 auth`."""

    path: str
    key: str
    nonce: str
    signature: str
    payload: bytes


class Arrival(NamedTuple):
    """One signed call as it came in, at `at` seconds; `error` is empty when it was admitted."""

    at: float
    key: str
    path: str
    nonce: str
    error: str

    def report(self) -> dict[str, Any]:
        return {**self._asdict(), "ok": not self.error}


def rest_call(path: str, headers: Any, body: bytes) -> Call:
    """A REST call from its path (without `/v2/`), its headers and its very body."""
    nonce = headers.get("bfx-nonce", "")
    payload = f"/api/v2/{path}{nonce}".encode() + body
    key, signature = headers.get("bfx-apikey", ""), headers.get("bfx-signature", "")
    return Call(path, key, nonce, signature, payload)


def login_call(message: dict[str, Any]) -> Call:
    """The auth event of a WebSocket. Official clients sign `AUTH` with the nonce once or twice."""
    payload, nonce = str(message.get("authPayload", "")), str(message.get("authNonce", ""))
    key, signature = str(message.get("apiKey", "")), str(message.get("authSig", ""))
    return Call("ws/2 auth", key, nonce, signature, payload.encode())


def read_nonce(text: str) -> int:
    """A nonce; what is none is one more than the largest."""
    number = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if number else MAX_NONCE + 1


class Keys:
    """All keys of the exchange. What changes is noted in `changes`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._keys: dict[str, Key] = {}
        self._arrivals: deque[Arrival] = deque(maxlen=KEPT_ARRIVALS)

    def load(self, store: Store) -> None:
        self._keys = {key.key: key for key in store.load("key", Key)}

    def all(self) -> list[Key]:
        """Newest first."""
        return sorted(self._keys.values(), key=lambda key: -key.created)

    def get(self, text: str) -> Key | None:
        return self._keys.get(text)

    def issue(self, label: str, user: str, permissions: Permissions, now: float) -> Key:
        """A new key; key and secret have 43 characters `[A-Za-z0-9_-]`."""
        key = Key(token_urlsafe(32), token_urlsafe(32), label, user, permissions, now)
        self._keys[key.key] = key
        self._note(key)
        return key

    def change(self, text: str, permissions: Permissions | None, nonce: int | None) -> Key:
        """Give a key other permissions, or push its nonce as a foreign client would.

        Raises KeyError when there is none.
        """
        key = self._keys[text]
        key.permissions = key.permissions if permissions is None else permissions
        key.nonce = key.nonce if nonce is None else nonce
        self._note(key)
        return key

    def delete(self, text: str) -> None:
        """Raises KeyError when there is none."""
        del self._keys[text]
        self._changes.drop("key", text)

    def admit(self, call: Call, now: float) -> Key:
        """Check a call on arrival and use its nonce up. Raises Denied, noted among the arrivals."""
        try:
            key = self._admit(call)
        except Denied as denied:
            self.note(call, now, denied.text)
            raise
        self.note(call, now)
        return key

    def note(self, call: Call, now: float, error: str = "") -> None:
        """Write an arrival down, also of a call that nobody looked at any closer."""
        self._arrivals.append(Arrival(now, call.key, call.path, call.nonce, error))

    def arrivals(self, text: str = "") -> list[Arrival]:
        """Oldest first; those of one key, or all."""
        return [arrival for arrival in self._arrivals if text in ("", arrival.key)]

    def _admit(self, call: Call) -> Key:
        key = self._keys.get(call.key)
        if key is None:
            raise Denied(10100, "apikey: invalid")
        key.requests += 1
        digest = hmac.digest(key.secret.encode(), call.payload, "sha384").hex()
        if not hmac.compare_digest(digest.encode(), call.signature.encode()):
            raise Denied(10100, "apikey: digest invalid")
        self._note(key)
        nonce = read_nonce(call.nonce)
        if not key.nonce < nonce <= MAX_NONCE:
            key.refused_nonces += 1
            raise Denied(10114, "nonce: small" if nonce <= MAX_NONCE else "nonce: invalid")
        key.nonce = nonce
        return key

    def _note(self, key: Key) -> None:
        self._changes.put("key", key.key, key)
