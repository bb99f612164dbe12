"""A key of Alice's whose calls can be signed, with a fake exchange behind the accounts' port."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts import keys, master_key
from accounts.models import ApiKey
from tests.accounts import fakes
from tests.factories import make_user


@pytest.fixture
def signing_key(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[ApiKey]:
    """Usable and armed, in a database without an open transaction."""
    path = tmp_path / "keys" / "master_key"
    settings.BFX_MASTER_KEY_FILE = settings.MASTER_KEY_MADE = path
    settings.BFX_MASTER_KEY = ""
    master_key.write(path, master_key.line(1, secrets.token_bytes(32)), replace=False)
    settings.KEY_EXCHANGE_BACKEND = "tests.accounts.fakes.current"
    fakes.CURRENT.append(fakes.FakeExchange())
    owner = make_user("alice")
    pair: dict[str, Any] = {"api_key": fakes.new_text(), "api_secret": fakes.new_text()}
    key = keys.add_key(user=owner, label="main", **pair)
    yield keys.arm_key(key=key, by=owner)
    fakes.CURRENT.pop()
