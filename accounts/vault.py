"""Seals the exchange's keys into their rows. Pure: the ring and the row's facts are arguments.

Each row has a data key of its own (AES-256-GCM), wrapped by one version of the master key. What
is sealed is bound to user, row, exchange, field, generation and policy, so that a swapped, older
or loosened row does not open. A plain secret exists only as `Secret`, which does not print.
"""

import hashlib
import hmac
import os
import re
import struct
from dataclasses import dataclass
from typing import Literal, NoReturn
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from accounts.errors import KeyRefused, SealBroken
from accounts.master_key import Ring

FORMAT = b"\x01"
NONCE_BYTES = 12
DATA_KEY_BYTES = 32
MASK = "Secret('**********')"
KEY_TEXT = re.compile(r"[\x21-\x7e]{16,256}")  # 43 of [A-Za-z0-9_-] today; older ones differ
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"  # what copying from a page brings along
Field = Literal["data key", "api key", "api secret"]


class Secret:
    """A text that neither prints, nor compares, nor leaves the process by accident."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Allowed in this module and in `accounts.signer`; a test counts the calls."""
        return self.__text

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied or stored")


@dataclass(frozen=True, slots=True)
class Binding:
    """The facts of a row that its seal covers. `policy` is the policy's text."""

    owner: int
    key: UUID
    exchange: str
    generation: int
    policy: str

    def covers(self, field: Field) -> bytes:
        policy = hashlib.sha256(self.policy.encode()).digest()
        whole = struct.pack(">qq", self.owner, self.generation)
        return joined(
            b"bfxdash/1", self.key.bytes, self.exchange.encode(), field.encode(), whole, policy
        )


@dataclass(frozen=True, slots=True)
class SealedKey:
    """The columns of a row: which master key, the wrapped data key, the two sealed texts."""

    kek_version: int
    wrapped_dek: bytes
    sealed_key: bytes
    sealed_secret: bytes


def pasted(text: "str | Secret") -> Secret:
    """What a person pasted, without the white space round it.

    Raises `KeyRefused` for what can be no key. Nothing of the text is in the error.
    """
    plain = _plain(text) if isinstance(text, Secret) else text
    found = KEY_TEXT.fullmatch(plain.strip().strip(INVISIBLE).strip())
    if not found:
        del plain, text  # an error page shows the variables of a frame
        raise KeyRefused("malformed")
    return Secret(found[0])


def seal(
    api_key: Secret, api_secret: Secret, binding: Binding, ring: Ring, version: int
) -> SealedKey:
    """Seals both under a new data key, wrapped by this version of the master key."""
    plain = (_plain(api_key).encode(), _plain(api_secret).encode())
    return _seal(plain, binding, ring, version)


def open_sealed(sealed: SealedKey, binding: Binding, ring: Ring) -> tuple[Secret, Secret]:
    """The API key and the secret. Raises `SealBroken` for anything but this row as it was sealed,
    `MasterKeyError` when the ring lacks the version."""
    api_key, api_secret = _open(sealed, binding, ring)
    return Secret(api_key.decode()), Secret(api_secret.decode())


def rewrap(sealed: SealedKey, binding: Binding, ring: Ring, version: int) -> SealedKey:
    """The same under another version of the master key; the secrets are not opened."""
    data_key = _unwrap(sealed, binding, ring)
    wrapped = wrap(ring.key(version), data_key, _wrap_covers(binding, version))
    return SealedKey(version, wrapped, sealed.sealed_key, sealed.sealed_secret)


def reseal(
    sealed: SealedKey, binding: Binding, ring: Ring, version: int, *, to: Binding
) -> SealedKey:
    """The same secrets under a new data key and other facts (a new policy, say)."""
    return _seal(_open(sealed, binding, ring), to, ring, version)


def fingerprint(api_key: Secret, exchange: str, key: bytes) -> str:
    """Recognises a key without storing it; `key` comes from the installation's root."""
    return hmac.digest(key, joined(exchange.encode(), _plain(api_key).encode()), "sha256").hex()


def last_four(api_key: Secret) -> str:
    return _plain(api_key)[-4:]


def wrap(key: bytes, data: bytes, covers: bytes) -> bytes:
    """AES-256-GCM with a random nonce in front. Every key here seals very few texts."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, covers)


def unwrap(key: bytes, data: bytes, covers: bytes, what: str) -> bytes:
    try:
        return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], covers)
    except (InvalidTag, ValueError):
        raise SealBroken(what) from None


def joined(*parts: bytes) -> bytes:
    """Each part with its length before it, so that no two lists of parts give the same bytes."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _plain(secret: Secret) -> str:
    return secret.reveal()


def _wrap_covers(binding: Binding, version: int) -> bytes:
    return joined(binding.covers("data key"), b"kek", struct.pack(">q", version))


def _seal(plain: tuple[bytes, bytes], binding: Binding, ring: Ring, version: int) -> SealedKey:
    data_key = AESGCM.generate_key(DATA_KEY_BYTES * 8)
    return SealedKey(
        kek_version=version,
        wrapped_dek=wrap(ring.key(version), data_key, _wrap_covers(binding, version)),
        sealed_key=FORMAT + wrap(data_key, plain[0], binding.covers("api key")),
        sealed_secret=FORMAT + wrap(data_key, plain[1], binding.covers("api secret")),
    )


def _unwrap(sealed: SealedKey, binding: Binding, ring: Ring) -> bytes:
    key, covers = ring.key(sealed.kek_version), _wrap_covers(binding, sealed.kek_version)
    return unwrap(key, sealed.wrapped_dek, covers, f"key {binding.key}")


def _open(sealed: SealedKey, binding: Binding, ring: Ring) -> tuple[bytes, bytes]:
    data_key, what = _unwrap(sealed, binding, ring), f"key {binding.key}"
    for column in (sealed.sealed_key, sealed.sealed_secret):
        if not column.startswith(FORMAT):
            raise SealBroken(what)
    return (
        unwrap(data_key, sealed.sealed_key[1:], binding.covers("api key"), what),
        unwrap(data_key, sealed.sealed_secret[1:], binding.covers("api secret"), what),
    )
