"""What stops `manage.py feed`, and what does not."""

from typing import Any

import pytest
from django.core.management.base import BaseCommand, SystemCheckError

from market.management.commands.feed import Command


@pytest.fixture
def live_without_master_key(settings: Any, tmp_path: Any) -> None:
    settings.BFX_EXCHANGE = "live"
    settings.BFX_MASTER_KEY = ""
    settings.BFX_MASTER_KEY_FILE = settings.MASTER_KEY_MADE = tmp_path / "none"


def run_checks_of(command: BaseCommand) -> None:
    wanted: dict[str, Any] = dict(command.get_check_kwargs({}))  # type: ignore[arg-type]
    command.check(**wanted)


def test_it_needs_no_master_key_for_it_knows_no_keys(live_without_master_key):
    with pytest.raises(SystemCheckError, match=r"accounts\.E001"):
        run_checks_of(BaseCommand())
    run_checks_of(Command())


def test_unsafe_settings_stop_it_all_the_same(live_without_master_key, settings):
    settings.ALLOWED_HOSTS = ["*"]
    with pytest.raises(SystemCheckError, match="ALLOWED_HOSTS") as caught:
        run_checks_of(Command())
    assert "accounts.E001" not in str(caught.value)
