"""The master key: where it is, whether it is fit for use, and how a version is added.

A ring is a small text, one line a version: `v2:` and the base64 of 32 random bytes. It lies in a
file of its own (0600), apart from the database, so that neither alone opens a secret. In this
order: `BFX_MASTER_KEY_FILE`, `$CREDENTIALS_DIRECTORY/bfxdash_master_key` (systemd), the text in
`BFX_MASTER_KEY`, and the file that the first start makes in the data folder.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from accounts.errors import MasterKeyError

KEY_BYTES = 32
FEWEST_DISTINCT_BYTES = 16
EXAMPLE_KEYS = {bytes(range(KEY_BYTES)), hashlib.sha256(b"bfxdash").digest()}  # in the manuals
FROM_VARIABLE = "BFX_MASTER_KEY"


@dataclass(frozen=True, slots=True, repr=False)
class Ring:
    """Every version of the master key that this process has."""

    versions: Mapping[int, bytes]
    source: str

    @property
    def newest(self) -> int:
        return max(self.versions)

    def key(self, version: int) -> bytes:
        if version not in self.versions:
            raise MasterKeyError(self.source, f"version {version} is not in it")
        return self.versions[version]


def ring() -> Ring:
    """The ring of this process. A file is read again when it has changed.

    Raises `MasterKeyError` unless every version of it is fit for use.
    """
    if settings.BFX_MASTER_KEY:
        return parse(settings.BFX_MASTER_KEY, FROM_VARIABLE)
    path: Path = settings.BFX_MASTER_KEY_FILE
    state = stamp(path)
    known = _read.get(path)
    if known is None or known[0] != state:
        known = _read[path] = (state, parse(path.read_text(), str(path)))
    return known[1]


_read: dict[Path, tuple[tuple[int, ...], Ring]] = {}


def is_missing() -> bool:
    """Whether there is no master key at all, so that one may be made."""
    return not settings.BFX_MASTER_KEY and not settings.BFX_MASTER_KEY_FILE.exists()


def may_be_made() -> bool:
    """Whether this installation makes its master key itself: nobody named another place."""
    return is_missing() and settings.BFX_MASTER_KEY_FILE == settings.MASTER_KEY_MADE


def stamp(path: Path) -> tuple[int, ...]:
    """What changes with the file. Raises when it is missing or others could read it."""
    try:
        found = path.stat()
    except OSError as error:
        raise MasterKeyError(str(path), f"cannot be read ({error.strerror})") from None
    if found.st_mode & 0o077:
        mode = found.st_mode & 0o777
        raise MasterKeyError(str(path), f"others can read it (mode {mode:o}); set mode 600")
    if found.st_uid not in {os.geteuid(), 0}:
        raise MasterKeyError(str(path), "it belongs to another user")
    return (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode)


def parse(text: str, source: str) -> Ring:
    """Raises `MasterKeyError` for a text that is not a ring, or a key that is not random."""
    versions: dict[int, bytes] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, encoded = line.partition(":")
        if not (name.startswith("v") and name[1:].isascii() and name[1:].isdigit()):
            raise MasterKeyError(source, "a line is not of the form v1:base64")
        version = int(name[1:])
        if version in versions or version < 1:
            raise MasterKeyError(source, f"{name} is there twice or is no version")
        versions[version] = decoded(encoded, source, name)
    if not versions:
        raise MasterKeyError(source, "it is empty")
    return Ring(versions, source)


def decoded(encoded: str, source: str, name: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise MasterKeyError(source, f"{name} is not base64") from None
    problem = weakness(key)
    if problem:
        raise MasterKeyError(source, f"{name} {problem}")
    return key


def weakness(key: bytes) -> str:
    """Why these bytes are no master key; empty when they are."""
    if len(key) != KEY_BYTES:
        return f"has {len(key)} bytes, not {KEY_BYTES}"
    if len(set(key)) < FEWEST_DISTINCT_BYTES:
        return "is not random"
    if key in EXAMPLE_KEYS:
        return "is the example of the manual"
    site = settings.SECRET_KEY.encode()
    if key in {site[:KEY_BYTES], hashlib.sha256(site).digest(), hashlib.sha512(site).digest()[:32]}:
        return "is derived from SECRET_KEY"
    return ""


def line(version: int, key: bytes) -> str:
    return f"v{version}:{base64.b64encode(key).decode()}\n"


def make() -> None:
    """Makes version 1 in the data folder, mode 0600. Another process may win: its file stays."""
    write(settings.MASTER_KEY_MADE, line(1, secrets.token_bytes(KEY_BYTES)), replace=False)


def append() -> int:
    """Adds the next version to the file and returns its number."""
    found = ring()
    lines = [line(version, key) for version, key in sorted(found.versions.items())]
    version = found.newest + 1
    rewrite([*lines, line(version, secrets.token_bytes(KEY_BYTES))], found)
    return version


def remove(version: int) -> None:
    """Takes a version out of the file: what only it could open is gone."""
    found = ring()
    kept = {other: key for other, key in found.versions.items() if other != version}
    rewrite([line(other, key) for other, key in sorted(kept.items())], found)


def rewrite(lines: list[str], found: Ring) -> None:
    if found.source == FROM_VARIABLE:
        raise MasterKeyError(FROM_VARIABLE, "a variable cannot be changed from here: use a file")
    write(Path(found.source), "".join(lines), replace=True)


def write(path: Path, text: str, *, replace: bool) -> None:
    """Whole or not at all, and never readable by others, not even for an instant."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def derived(key: bytes, label: str, length: int = KEY_BYTES) -> bytes:
    """A key for one purpose; the key itself is used for nothing but wrapping."""
    info = f"bfxdash/1 {label}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key)


def check_value(key: bytes) -> bytes:
    """Tells a wrong master key from a broken seal, and nothing about the key."""
    return derived(key, "check value", 8)
