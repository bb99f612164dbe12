"""The pages of one's own data: address, copy, deletion."""

import json

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts import audit
from accounts.models import ApiKey, AuditEvent, User
from tests.accounts.sessions import browser_of, give_factor

EMAIL = reverse("accounts:email")
NEW = "new@example.org"


@pytest.fixture
def browser(alice, charlie):
    give_factor(alice)
    return browser_of(alice, proof="mfa")


@pytest.fixture
def mail(settings):
    settings.EMAIL_ON = True
    cache.clear()


def link_in(mailbox) -> str:
    word = next(word for word in mailbox[-1].body.split() if "/account/email/" in word)
    return str(word).removeprefix("http://testserver")


def address_of(user) -> str:
    return User.objects.get(pk=user.pk).email


def test_an_address_counts_once_its_link_was_opened(browser, alice, mail, mailoutbox):
    page = browser.post(EMAIL, {"email": NEW}, follow=True).content.decode()
    assert f"Look for a mail at {NEW}" in page
    assert address_of(alice) == ""
    link = link_in(mailoutbox)
    assert NEW in browser.get(link).content.decode()
    assert address_of(alice) == ""
    assert f"is now {NEW}" in browser.post(link, follow=True).content.decode()
    assert address_of(alice) == NEW
    assert browser.get(link).status_code == 410


def test_somebody_else_cannot_use_the_link(browser, alice, bob, mail, mailoutbox):
    browser.post(EMAIL, {"email": NEW})
    give_factor(bob)
    assert browser_of(bob).post(link_in(mailoutbox)).status_code == 410
    assert (address_of(alice), address_of(bob)) == ("", "")


def test_an_address_is_removed_at_once(browser, alice, mail):
    User.objects.filter(pk=alice.pk).update(email="old@example.org")
    page = browser.post(EMAIL, {"email": ""}, follow=True).content.decode()
    assert "The address is removed" in page
    assert address_of(alice) == ""


def test_a_change_of_address_needs_a_fresh_proof(alice, mail):
    give_factor(alice)
    for age in (301, 0):
        browser = browser_of(alice, proof="mfa" if age else None, age=age)
        assert browser.post(EMAIL, {"email": NEW}).status_code == 403


def test_five_mails_an_hour_go_to_typed_addresses(browser, mail, mailoutbox):
    for _ in range(5):
        assert browser.post(EMAIL, {"email": NEW}).status_code == 302
    assert browser.post(EMAIL, {"email": NEW}).status_code == 429
    assert len(mailoutbox) == 5


def test_without_mail_there_is_no_such_page(browser, alice):
    assert browser.get(EMAIL).status_code == 404
    assert EMAIL not in browser.get(reverse("accounts:overview")).content.decode()


def test_the_page_leads_to_the_address_where_there_is_mail(browser, mail):
    assert EMAIL in browser.get(reverse("accounts:overview")).content.decode()


def test_ones_own_data_is_a_file_and_leaves_an_event(browser, alice, key):
    answer = browser.get(reverse("accounts:data"))
    found = json.loads(answer.content)
    assert "attachment" in answer["Content-Disposition"]
    assert found["account"]["username"] == "alice"
    assert [row["uuid"] for row in found["keys"]] == [str(key.pk)]
    assert AuditEvent.objects.get(tag="account.data_exported").actor == alice.pk


def test_an_account_is_deleted_by_its_typed_name(browser, alice, key, exchange):
    url = reverse("accounts:delete")
    page = browser.get(url).content.decode()
    assert key.last4 in page
    assert b"not the name" in browser.post(url, {"username": "bob"}).content
    assert User.objects.get(pk=alice.pk).is_active
    answer = browser.post(url, {"username": "alice", "cancel_orders": "on"})
    text = answer.content.decode()
    assert "Your account is deleted" in text
    assert "Open orders cancelled before: 2." in text
    assert key.last4 in text
    assert answer["Clear-Site-Data"] == '"cache"'
    assert browser.get(reverse("accounts:keys")).status_code == 302
    assert ApiKey.objects.get().is_revoked
    assert audit.verify().broken is None


def test_the_only_administrator_is_told_what_to_do_first(charlie):
    give_factor(charlie)
    browser = browser_of(charlie, proof="mfa")
    page = browser.post(reverse("accounts:delete"), {"username": "charlie"}).content.decode()
    assert "Make somebody else one first" in page
    assert User.objects.get(pk=charlie.pk).is_active
    assert browser.get(reverse("accounts:keys")).status_code == 200


def test_a_deletion_needs_a_fresh_proof(alice):
    give_factor(alice)
    browser = browser_of(alice, proof="mfa", age=301)
    assert browser.post(reverse("accounts:delete"), {"username": "alice"}).status_code == 403
    assert User.objects.get(pk=alice.pk).is_active
