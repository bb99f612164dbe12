"""The only door to secrets: a grant, the seal opened, one signature, and everything forgotten.

Nothing is cached: each signature asks the row again, so that a revocation holds from its commit
on. What was signed before leaves within its window or never.
"""

import time
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction

from accounts import audit, key_versions, master_key, nonces, signals, signing, vault
from accounts.errors import SealBroken, SendWindowMissed
from accounts.key_rows import tell
from accounts.models import Act, ApiKey, KeyState

WINDOW_NS = 250_000_000


@dataclass(frozen=True, slots=True)
class SendWindow:
    """When a signed request may leave, on the clock of `time.monotonic_ns()`.

    Sleep `wait_ns(now)`, connect, then call `check(now)` right before the first byte.
    """

    opens_ns: int
    closes_ns: int

    def wait_ns(self, now_ns: int) -> int:
        return max(self.opens_ns - now_ns, 0)

    def check(self, now_ns: int) -> None:
        """Raises `SendWindowMissed` when it is too late: drop the request and sign another."""
        if now_ns > self.closes_ns:
            raise SendWindowMissed((now_ns - self.closes_ns) // 1000)


@dataclass(frozen=True, slots=True)
class Signed:
    """What one REST call needs. `headers` names the key, so it is never logged or stored."""

    key: UUID
    nonce: int
    bump: int
    window: SendWindow
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedLogin:
    """What a WebSocket log-in needs: `message` is the whole `auth` event, to be sent as JSON."""

    key: UUID
    nonce: int
    bump: int
    window: SendWindow
    message: dict[str, str] = field(repr=False)


def signed(key: ApiKey, path: str, body: bytes, act: Act = "read") -> Signed:
    """Signs one REST call: `path` like `/v2/auth/r/wallets`, `body` the very bytes to be sent.

    `act` says what the call does: a halt of orders lets `read` and `cancel` through, `place`
    needs an armed key and the policy as `key` carries it. Raises `KeyBusy` (ask again later), a
    `KeyUnusable`, `SealBroken` (the key is then quarantined) or `MasterKeyError`.
    """
    signing.rest_payload(path, 1, body)  # a wrong path costs no nonce
    granted, window, (name, secret) = _open(key, act)
    payload = signing.rest_payload(path, granted.nonce, body)
    headers = {
        "bfx-apikey": name,
        "bfx-nonce": str(granted.nonce),
        "bfx-signature": signing.sign(secret, payload),
        "content-type": "application/json",
    }
    return Signed(key.uuid, granted.nonce, granted.bump, window, headers)


def ws_auth(key: ApiKey) -> SignedLogin:
    """Signs one log-in to the authenticated WebSocket; it shares the key's nonces."""
    granted, window, (name, secret) = _open(key, "read")
    payload = signing.ws_auth_payload(granted.nonce)
    message = {
        "event": "auth",
        "apiKey": name,
        "authNonce": str(granted.nonce),
        "authPayload": payload,
        "authSig": signing.sign(secret, payload.encode()),
    }
    return SignedLogin(key.uuid, granted.nonce, granted.bump, window, message)


def ready(key: ApiKey, act: Act) -> ApiKey:
    """The key as it is now, when it may be used for this act. Raises the `KeyUnusable` that a
    signature would; only the signature itself is a promise."""
    return nonces.ready(key, act)


def nonce_accepted(done: Signed | SignedLogin) -> None:
    """Call after any answer but 10114: costs nothing unless nonces had been refused before."""
    if done.bump:
        nonces.accepted(done.key)


def nonce_refused(done: Signed | SignedLogin) -> int:
    """Call after 10114, then sign again: nothing was executed. Returns the refusals in a row."""
    return nonces.refused(done.key, done.nonce)


def _open(key: ApiKey, act: Act) -> tuple[nonces.Grant, SendWindow, tuple[str, str]]:
    asked = time.monotonic_ns()  # before the grant: the window can only come out too short
    granted = nonces.grant(key, act)
    window = SendWindow(asked + granted.wait_us * 1000, asked + WINDOW_NS)
    ring = master_key.ring()
    try:
        pair = vault.open_sealed(granted.sealed, granted.binding, ring)
    except SealBroken:
        key_versions.confirm(ring, granted.sealed.kek_version)  # or is it the master key?
        _quarantine(key, granted)
        raise
    name, secret = (each.reveal() for each in pair)
    return granted, window, (name, secret)


@transaction.atomic
def _quarantine(key: ApiKey, granted: nonces.Grant) -> None:
    broken = ApiKey.objects.filter(
        pk=key.pk, generation=granted.binding.generation, wrapped_dek=granted.sealed.wrapped_dek
    )
    if broken.update(state=KeyState.QUARANTINED, armed_until=None):
        audit.record(audit.Tag.KEY_BROKEN, actor=None, about=key, outcome="failed")
        tell(signals.key_changed, key)
