"""A database of its own for processes that share one, on SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.installation import Installation as Installation


@pytest.fixture(params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    (tmp_path / "db").mkdir()
    url = f"sqlite:///{tmp_path / 'db' / 'shared.sqlite3'}"
    if request.param == "postgres":
        postgres: servers.Postgres = request.getfixturevalue("postgres")
        url = postgres.make_database(f"keys_{tmp_path.name[-40:]}")
    made = Installation(tmp_path, url)
    yield made
    made.stop()
