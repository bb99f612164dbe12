"""A customer of the sandbox for tests: signs what he sends, with nonces of his own."""

import hmac
import json
from itertools import count
from typing import Any

from market.sandbox.keys import Call, Key, rest_call

START = 1_790_134_414.85
NONCES = count(1_700_000_000_000_000)
ALL = {
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
