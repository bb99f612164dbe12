"""A database of its own for processes that share one, on SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Installation as Installation
from tests.installation import MigratedDatabases


@pytest.fixture(params=["sqlite", "postgres"])
def installation(
    request: pytest.FixtureRequest, tmp_path: Path, migrated: MigratedDatabases
) -> Iterator[Installation]:
    (tmp_path / "db").mkdir()
    if request.param == "postgres":
        url = migrated.on_postgres(f"keys_{tmp_path.name[-40:]}")
    else:
        url = migrated.on_sqlite(tmp_path / "db" / "shared.sqlite3")
    made = Installation(tmp_path, url)
    yield made
    made.stop()
