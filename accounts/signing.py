"""What Bitfinex wants signed, and the signature (Bitfinex docs, rest-auth and ws-auth).

Pure: text in, text out. The nonce comes from `accounts.nonces`, the secret from `accounts.signer`.
"""

import hmac

MAX_NONCE = 9007199254740991  # 2**53 - 1: the largest the exchange accepts, in µs the year 2255


def rest_payload(path: str, nonce: int, body: bytes) -> bytes:
    """What is signed for one REST call.

    `path` is the path on the wire without the query, like `/v2/auth/r/wallets`, its symbol not
    escaped; `body` the very bytes that will be sent. Raises `ValueError` for any other path, for
    the exchange would answer only that the signature is invalid.
    """
    if not path.startswith("/v2/auth/") or "?" in path or "%" in path:
        raise ValueError(f"not the plain path of a signed call: {path!r}")
    return f"/api{path}{checked(nonce)}".encode() + body


def ws_auth_payload(nonce: int) -> str:
    """The `authPayload` of a WebSocket log-in, which is what is signed for it."""
    return f"AUTH{checked(nonce)}"


def sign(secret: str, payload: bytes) -> str:
    """HMAC-SHA384 in lower-case hex."""
    return hmac.digest(secret.encode(), payload, "sha384").hex()


def checked(nonce: int) -> int:
    if not 0 < nonce <= MAX_NONCE:
        raise ValueError(f"a nonce of {nonce} is never accepted")
    return nonce
