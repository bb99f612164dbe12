"""A data folder of the test's own, and the database's client programs on PATH."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests import servers


@pytest.fixture
def data_dir(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str) -> Path:
    tmp_path.chmod(0o700)
    settings.BFX_DATA_DIR = tmp_path
    settings.BFX_MASTER_KEY_FILE = settings.MASTER_KEY_MADE = tmp_path / "keys" / "master_key"
    if profile == "scaled":
        programs = [str(servers.postgres_binaries()), os.environ["PATH"]]
        monkeypatch.setenv("PATH", os.pathsep.join(programs))
    return tmp_path
