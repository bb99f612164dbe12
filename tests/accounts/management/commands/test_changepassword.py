"""A password that the operator sets costs what one by mail does."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import ApiKey, AuditEvent, User
from tests.accounts.sessions import browser_of, give_factor


def change(monkeypatch, username: str) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: "another long phrase")
    call_command("changepassword", username, stdout=io.StringIO())


def test_a_reset_on_the_host_ends_sessions_and_pauses_arming(armed, alice, monkeypatch):
    give_factor(alice)
    browser = browser_of(alice)
    change(monkeypatch, "alice")
    user = User.objects.get(pk=alice.pk)
    assert user.check_password("another long phrase")
    assert user.no_arming_until is not None
    assert ApiKey.objects.get().armed_until is None
    assert browser.get(reverse("accounts:keys")).status_code == 302
    assert AuditEvent.objects.get(tag="password.reset").actor is None


def test_whom_it_does_not_know_it_names(db, monkeypatch):
    with pytest.raises(CommandError, match="nobody"):
        change(monkeypatch, "nobody")
