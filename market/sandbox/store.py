"""What survives a kill of the exchange: rows by kind and name, in one SQLite file.

The pure rooms note in `Changes` what they changed; after every call `app` writes all of it in one
transaction, before the answer leaves. Without an fsync: a killed process loses nothing, a machine
without power may lose the last moments.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")


class Row(NamedTuple):
    """`body` is JSON text, None for a row that is gone."""

    kind: str
    name: str
    body: bytes | None


class Changes:
    """Rows that differ from what is stored."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Any] = {}

    def put(self, kind: str, name: str, value: Any) -> None:
        """`value` is encoded when the changes are taken: note it once, change it often."""
        self._rows[kind, name] = value

    def drop(self, kind: str, name: str) -> None:
        self._rows[kind, name] = None

    def take(self) -> list[Row]:
        rows, self._rows = self._rows, {}
        return [
            Row(kind, name, None if value is None else msgspec.json.encode(value))
            for (kind, name), value in rows.items()
        ]


class Store:
    """The file. Raises sqlite3.Error, an OSError for a folder that cannot be made."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS rows (kind TEXT, name TEXT, body BLOB,"
            " PRIMARY KEY (kind, name)) WITHOUT ROWID"
        )
        path.chmod(0o600)

    def load(self, kind: str, form: type[T]) -> list[T]:
        """All rows of a kind, by name. Raises ValueError (msgspec's) for a row of another form."""
        found = self._database.execute(
            "SELECT body FROM rows WHERE kind = ? ORDER BY name", (kind,)
        )
        return [msgspec.json.decode(body, type=form) for (body,) in found]

    def write(self, rows: Iterable[Row]) -> None:
        """All or nothing."""
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        for kind, name, body in rows:
            if body is None:
                database.execute("DELETE FROM rows WHERE kind = ? AND name = ?", (kind, name))
            else:
                database.execute("REPLACE INTO rows VALUES (?, ?, ?)", (kind, name, body))
        database.execute("COMMIT")

    def close(self) -> None:
        self._database.close()
