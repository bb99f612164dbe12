"""Between a key's row and its seal."""

from accounts.models import ApiKey
from accounts.vault import Binding, SealedKey

WIPED = {"kek_version": None, "wrapped_dek": None, "sealed_key": None, "sealed_secret": None}


def binding_of(row: ApiKey) -> Binding:
    """What the seal of this row covers."""
    return Binding(row.owner_id, row.uuid, row.exchange, row.generation, row.policy_text)


def sealed_of(row: ApiKey) -> SealedKey:
    columns = (row.wrapped_dek, row.sealed_key, row.sealed_secret)
    return sealed_from(row.kek_version, *columns)


def sealed_from(version: int | None, *columns: object) -> SealedKey:
    """From the columns as the database has them. Whatever else somebody wrote into them (text,
    nothing) becomes bytes that do not open."""
    return SealedKey(version or 0, *(_bytes(column) for column in columns))


def columns_of(sealed: SealedKey) -> dict[str, int | bytes]:
    return {
        "kek_version": sealed.kek_version,
        "wrapped_dek": sealed.wrapped_dek,
        "sealed_key": sealed.sealed_key,
        "sealed_secret": sealed.sealed_secret,
    }


def _bytes(column: object) -> bytes:
    return bytes(column) if isinstance(column, bytes | memoryview) else b""
