"""The pages of one's own account."""

import json

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts import invitations, notices
from accounts.models import AuditEvent, User
from tests.accounts.sessions import browser_of, give_factor

NEW = {"username": "Dora", "password1": "a long pass phrase", "password2": "a long pass phrase"}


@pytest.fixture(autouse=True)
def no_former_sign_ups(db):
    """Five an hour are let in, and Redis outlives a test."""
    cache.clear()


def url_of(token: str | None) -> str:
    assert token
    return reverse("accounts:invitation", args=[token])


def test_a_link_makes_an_account_that_is_signed_in_and_asked_for_a_factor(client, db):
    url = url_of(invitations.make_setup_token())
    assert b"may skip the second factor" in client.get(url).content
    assert not User.objects.exists()
    answer = client.post(url, NEW)
    assert answer["Location"] == reverse("mfa_index")
    assert User.objects.get().username == "dora"
    assert client.get(reverse("mfa_activate_totp")).status_code == 200
    assert client.get(url).status_code == 410


def test_the_first_account_of_a_sandbox_may_skip_its_factor_and_others_may_not(client, charlie):
    url = url_of(invitations.invite(by=charlie))
    assert b"may skip" not in client.get(url).content
    client.post(url, NEW)
    assert client.get(reverse("accounts:keys"))["Location"] == reverse("mfa_index")
    assert b"skip it for now" not in client.get(reverse("mfa_index")).content


def test_a_used_link_says_so(client, charlie):
    url = url_of(invitations.invite(by=charlie))
    client.post(url, NEW)
    client.post(reverse("account_logout"))
    assert client.get(url).status_code == 410
    assert client.post(url, {**NEW, "username": "another"}).status_code == 410


def test_the_wish_to_be_staff_is_not_heard(client, charlie):
    url = url_of(invitations.invite(by=charlie))
    extra = {"is_staff": "1", "is_superuser": "1", "is_first": "1", "auth_epoch": "7"}
    client.post(url, {**NEW, **extra})
    made = User.objects.get(username="dora")
    assert (made.is_staff, made.is_superuser, made.is_first, made.auth_epoch) == (0, 0, 0, 0)


def test_news_is_new_once(alice):
    browser = browser_of(alice)
    notices.notify(alice, "Something happened.")
    url = reverse("accounts:overview")
    assert browser.get(url).content.decode().count("Something happened.") == 1
    assert "<b>Something" not in browser.get(url).content.decode()


def test_the_trail_is_ones_own_and_may_be_taken_along(alice, bob, add_key):
    give_factor(alice)
    mine, his = add_key(alice), add_key(bob)
    browser = browser_of(alice, proof="mfa")
    text = browser.get(reverse("accounts:trail")).content.decode()
    assert text.count("key.added") == 1
    lines = browser.get(reverse("accounts:trail_jsonl")).content.decode().splitlines()
    keys = {json.loads(line)["key"] for line in lines}
    assert keys == {str(mine.pk), None}  # what is not about a key is his too
    assert str(his.pk) not in browser.get(reverse("accounts:trail_csv")).content.decode()
    assert AuditEvent.objects.filter(tag="audit.exported", actor=alice.pk).count() == 2


@pytest.mark.parametrize("name", ["accounts:trail_csv", "accounts:trail_jsonl"])
def test_an_export_is_a_file(alice, name):
    give_factor(alice)
    answer = browser_of(alice, proof="mfa").get(reverse(name))
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert "no-store" in answer["Cache-Control"]
