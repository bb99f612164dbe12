"""G14: no private act without a second factor, no change of keys without a fresh one."""

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from accounts.models import ApiKey
from tests.accounts.sessions import PASSWORD, browser_of, code_of, give_factor, key_fields

GUARDED = ["accounts:add_key", "accounts:trail_csv", "accounts:trail_jsonl", "mfa_deactivate_totp"]
OF_A_KEY = ["accounts:arm_key", "accounts:policy"]


@pytest.fixture
def seed(alice):
    return give_factor(alice)


def urls(key):
    return [reverse(name) for name in GUARDED] + [reverse(n, args=[key.pk]) for n in OF_A_KEY]


@pytest.mark.parametrize(("age", "status"), [(0, 200), (299, 200), (301, 302)])
def test_g14_a_proof_holds_for_five_minutes(alice, seed, key, age, status):
    browser = browser_of(alice, proof="mfa", age=age)
    assert {browser.get(url).status_code for url in urls(key)} == {status}


def test_g14_a_stolen_cookie_alone_gets_no_further_than_the_question(alice, seed, key):
    thief = browser_of(alice)
    for url in urls(key):
        answer = thief.get(url)
        assert (answer.status_code, answer["Location"].startswith("/account/confirm/")) == (
            302,
            True,
        )


def test_g14_a_password_is_no_proof_once_there_is_a_factor(alice, seed, key):
    """T4."""
    browser = browser_of(alice, proof="password")
    assert {browser.get(url).status_code for url in urls(key)} == {302}
    answer = browser.post(reverse("accounts:confirm"), {"password": PASSWORD})
    assert answer.status_code == 200
    assert browser.get(reverse("accounts:add_key")).status_code == 302


def test_g14_a_login_is_no_fresh_proof(alice, seed):
    browser = browser_of(alice, age=0)
    assert browser.get(reverse("accounts:add_key")).status_code == 302


def test_g14_a_late_post_is_refused_and_nothing_of_it_is_kept(alice, seed):
    """T1: allauth would keep the fields, readable, in the session."""
    browser = browser_of(alice, proof="mfa", age=301)
    fields = key_fields(api_secret="CANARY" + "s" * 40)
    answer = browser.post(reverse("accounts:add_key"), fields)
    assert answer.status_code == 403
    assert b"Confirm again" in answer.content
    assert b"CANARY" not in answer.content
    kept = [str(row.get_decoded()) for row in Session.objects.all()]
    assert "CANARY" not in "".join(kept)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", ["mfa_generate_recovery_codes", "account_change_password"])
def test_g14_allauths_own_pages_keep_nothing_either(alice, seed, name):
    browser = browser_of(alice, proof="mfa", age=301)
    answer = browser.post(reverse(name), {"password1": "CANARY-pass-phrase"})
    assert answer.status_code == 403
    assert "CANARY" not in str([row.get_decoded() for row in Session.objects.all()])


def test_g14_a_code_proves_it_and_the_session_gets_a_new_key(alice, seed):
    browser = browser_of(alice)
    before = browser.session.session_key
    target = reverse("accounts:add_key")
    answer = browser.post(reverse("accounts:confirm"), {"code": code_of(seed), "next": target})
    assert (answer.status_code, answer["Location"]) == (302, target)
    assert browser.session.session_key != before
    assert not Session.objects.filter(pk=before).exists()
    assert browser.get(target).status_code == 200


def test_g14_a_code_works_once(alice, seed):
    """T5; the mark lies in the shared cache, so in no process of the site."""
    code = code_of(seed)
    first, second = browser_of(alice), browser_of(alice)
    assert first.post(reverse("accounts:confirm"), {"code": code}).status_code == 302
    assert second.post(reverse("accounts:confirm"), {"code": code}).status_code == 200


def test_g14_safety_needs_no_proof(alice, seed, key):
    browser = browser_of(alice, proof="mfa", age=10_000)
    for name, fields in [
        ("accounts:disarm_key", {}),
        ("accounts:revoke_key", {"reason": "strange orders"}),
    ]:
        assert browser.post(reverse(name, args=[key.pk]), fields).status_code == 302
    assert ApiKey.objects.get().is_revoked
    fields = {"level": "2", "reason": "strange orders"}
    assert browser.post(reverse("accounts:halt"), fields).status_code == 302


def test_in_sandbox_mode_the_first_account_proves_it_with_its_password(alice):
    alice.is_first = True
    alice.save()
    browser = browser_of(alice, factor_used=False)
    assert browser.get(reverse("accounts:keys")).status_code == 200
    assert browser.get(reverse("accounts:add_key")).status_code == 302
    fields = {"password": PASSWORD, "next": reverse("accounts:add_key")}
    assert browser.post(reverse("accounts:confirm"), fields).status_code == 302
    assert browser.get(reverse("accounts:add_key")).status_code == 200


def test_with_the_real_exchange_the_first_account_needs_a_factor_too(alice, settings):
    settings.BFX_EXCHANGE = "live"
    alice.is_first = True
    alice.save()
    browser = browser_of(alice, proof="password", factor_used=False)
    assert browser.get(reverse("accounts:keys"))["Location"] == reverse("mfa_index")


def test_a_wrong_password_proves_nothing(alice):
    browser = browser_of(alice, factor_used=False)
    answer = browser.post(reverse("accounts:confirm"), {"password": "not this one at all"})
    assert (answer.status_code, b"not the password" in answer.content) == (200, True)
