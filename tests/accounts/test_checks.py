"""G3: what stops the start, by name."""

import io
import secrets

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from accounts import master_key
from accounts.checks import check_sign_in

LIVE = [("live", True), ("sandbox", False)]


def ids(**how) -> list[str]:
    found = [message.id or "" for message in run_checks(**how)]
    return [name for name in found if name.startswith("accounts.")]


def test_a_good_master_key_passes():
    assert ids() == []


@pytest.mark.parametrize(("mode", "stops"), LIVE)
def test_g03_a_missing_key_stops_live_only(settings, ring_file, mode, stops):
    settings.BFX_EXCHANGE = mode
    ring_file.unlink()
    assert ids() == (["accounts.E001"] if stops else [])


@pytest.mark.parametrize("mode", ["live", "sandbox"])
def test_g03_a_named_place_without_a_key_stops_both(settings, tmp_path, mode):
    settings.BFX_EXCHANGE, settings.BFX_MASTER_KEY_FILE = mode, tmp_path / "named"
    assert ids() == ["accounts.E001"]


@pytest.mark.parametrize("harm", ["chmod", "weak", "example"])
def test_g03_the_command_fails_and_names_the_file(ring_file, harm):
    if harm == "chmod":
        ring_file.chmod(0o644)
    else:
        ring_file.write_text(master_key.line(1, bytes(32) if harm == "weak" else bytes(range(32))))
    with pytest.raises(SystemCheckError, match=str(ring_file)):
        call_command("check", stdout=io.StringIO(), stderr=io.StringIO())


def test_a_key_in_a_variable_is_warned_of(settings):
    settings.BFX_MASTER_KEY = master_key.line(1, secrets.token_bytes(32))
    assert ids() == ["accounts.W001"]


def test_g03_a_key_that_the_database_was_not_sealed_with_stops(key, ring_file):
    assert ids(databases=["default"]) == []
    ring_file.write_text(master_key.line(1, secrets.token_bytes(32)))
    assert ids() == []  # nothing wrong with the file itself
    assert ids(tags=[Tags.database], databases=["default"]) == ["accounts.E002"]


def test_g03_a_version_that_a_row_needs_stops_when_it_is_gone(key, ring_file):
    ring_file.write_text(master_key.line(2, secrets.token_bytes(32)))
    found = run_checks(tags=[Tags.database], databases=["default"])
    assert "version 1 is not in it" in found[0].msg
    ring_file.unlink()
    assert ids(tags=[Tags.database], databases=["default"]) == ["accounts.E002"]


def test_a_database_before_its_first_migration_is_no_problem(db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_apikey RENAME TO gone")
    assert ids(tags=[Tags.database], databases=["default"]) == []


def test_an_empty_database_needs_no_key(db, ring_file):
    ring_file.unlink()
    assert ids(tags=[Tags.database], databases=["default"]) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CACHES", {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}),
        ("CACHES", {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}),
        ("SESSION_ENGINE", "django.contrib.sessions.backends.signed_cookies"),
        ("MFA_TOTP_INSECURE_BYPASS_CODE", "123456"),
        ("MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN", True),
        ("MFA_TRUST_ENABLED", True),
    ],
)
def test_nothing_may_stand_in_for_a_second_factor(settings, name, value):
    """T5 among them."""
    assert check_sign_in() == []
    setattr(settings, name, value)
    (error,) = check_sign_in()
    assert (error.id, name in str(error.msg)) == ("accounts.E003", True)
