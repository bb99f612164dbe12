"""Settings for the test run, and fixtures that every room shares."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("SECRET_KEY", "tests-only-" + "k" * 50)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bfxdash.settings")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings, read in place."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BFX_RECORDINGS", default))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}: set BFX_RECORDINGS to their folder")
    return folder
