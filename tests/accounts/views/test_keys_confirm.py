"""The page of a key that waits for its owner because the database was restored."""

import pytest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse

from accounts import keys, restore_guard, revoked_log
from accounts.audit import Tag
from accounts.errors import ExchangeUnavailable, KeyRejected, SealBroken
from accounts.models import ApiKey, AuditEvent, Epoch, KeyState, Notice, User
from accounts.signer import signed
from accounts.views.shown import STATE_WORDS
from tests.accounts.fakes import FakeExchange
from tests.accounts.sessions import browser_of, give_factor

BROKEN = "is not what was sealed"


@pytest.fixture
def browser(alice: User) -> Client:
    give_factor(alice)
    return browser_of(alice, proof="mfa")


@pytest.fixture
def waiting(key: ApiKey, alice: User) -> ApiKey:
    """Alice's key, after the database was restored from a backup; every session has ended."""
    Epoch.objects.update_or_create(pk=1, defaults={"number": 0})
    revoked_log.raise_epoch(5)
    assert restore_guard.guard()
    alice.refresh_from_db()
    return ApiKey.objects.get(pk=key.pk)


def break_seal(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(sealed_secret=b"\x01other")


def address(key: ApiKey) -> str:
    return reverse("accounts:confirm_key", args=[key.pk])


def confirm(browser: Client, key: ApiKey) -> str:
    return text_of(browser.post(address(key), follow=True))


def page(browser: Client, key: ApiKey) -> str:
    return text_of(browser.get(reverse("accounts:key", args=[key.pk])))


def text_of(answer: HttpResponseBase) -> str:
    assert isinstance(answer, HttpResponse)
    return answer.content.decode()


def state(key: ApiKey) -> str:
    return ApiKey.objects.get(pk=key.pk).state


def is_untouched(key: ApiKey) -> bool:
    confirmed = AuditEvent.objects.filter(tag=Tag.KEY_CONFIRMED)
    return state(key) == KeyState.QUARANTINED and not confirmed.exists()


def test_the_page_says_why_the_key_waits_and_offers_to_confirm_it(waiting, browser):
    text = page(browser, waiting)
    assert "The database was restored from a backup" in text
    assert "Confirm that this key is still yours and in use, or revoke it" in text
    assert f'action="{address(waiting)}"' in text
    assert BROKEN not in text


def test_a_key_in_use_has_nothing_to_confirm(browser, key):
    assert "Confirm key" not in page(browser, key)


def test_its_owner_confirms_a_key_and_it_is_usable(waiting, browser):
    text = confirm(browser, waiting)
    assert "Confirmed. The key only reads until you arm it." in text
    assert "Confirm key" not in text
    assert state(waiting) == KeyState.USABLE


def test_a_key_is_confirmed_while_the_exchange_is_away(waiting, browser, exchange):
    exchange.problem = ExchangeUnavailable("no answer")
    assert "the exchange could not be asked" in confirm(browser, waiting)
    assert state(waiting) == KeyState.UNVERIFIED


def test_for_others_there_is_no_such_key(waiting, bob):
    give_factor(bob)
    answer = browser_of(bob, proof="mfa").post(address(waiting))
    assert (answer.status_code, is_untouched(waiting)) == (404, True)


def test_a_link_confirms_nothing(waiting, browser):
    answer = browser.get(address(waiting))
    assert answer["Location"] == reverse("accounts:key", args=[waiting.pk])
    assert is_untouched(waiting)


@pytest.mark.parametrize("age", [301, 3000])
def test_an_old_proof_is_not_enough(age, alice, waiting):
    give_factor(alice)
    answer = browser_of(alice, proof="mfa", age=age).post(address(waiting))
    assert (answer.status_code, is_untouched(waiting)) == (403, True)
    assert reverse("accounts:confirm") in text_of(answer)


def test_a_revoked_key_is_not_confirmed(waiting, browser, alice):
    keys.revoke_key(key=waiting, by=alice, reason="leaked")
    assert "Not confirmed: this key is revoked. Add a new one." in confirm(browser, waiting)


def test_a_key_that_waits_for_nobody_is_not_confirmed(browser, key):
    assert "Nothing to confirm" in confirm(browser, key)
    assert state(key) == KeyState.USABLE


def test_a_key_that_may_withdraw_by_now_is_refused(waiting, browser, exchange):
    exchange.rows = [("withdraw", 0, 1)]
    text = confirm(browser, waiting)
    assert "may withdraw money" in text
    assert "Its secret is wiped here." in text
    assert state(waiting) == KeyState.REFUSED


def test_a_key_that_is_gone_at_the_exchange_is_refused(waiting, browser, exchange):
    exchange.problem = KeyRejected(10100, "apikey: invalid")
    assert "does not accept this key" in confirm(browser, waiting)
    assert state(waiting) == KeyState.REFUSED


class SigningExchange(FakeExchange):
    """Signs as the real one does before it asks, so a broken seal is found."""

    def permissions(self, key):
        signed(key, "/v2/auth/r/permissions", b"{}")
        return super().permissions(key)


def test_a_broken_seal_is_found_when_the_key_is_confirmed(waiting, browser, settings):
    settings.KEY_EXCHANGE_BACKEND = f"{__name__}.SigningExchange"
    break_seal(waiting)
    assert f"Not confirmed: what is stored {BROKEN}" in confirm(browser, waiting)
    assert state(waiting) == KeyState.QUARANTINED
    text = page(browser, waiting)
    assert (BROKEN in text, "Confirm key" in text, "restored" in text) == (True, False, False)


def test_without_the_master_key_the_operator_is_named(waiting, browser, settings, tmp_path):
    settings.BFX_MASTER_KEY_FILE = tmp_path / "nowhere"
    assert "cannot open a key at the moment" in confirm(browser, waiting)
    assert state(waiting) == KeyState.QUARANTINED


def test_only_a_broken_seal_is_told_as_one(
    waiting, alice, add_key, django_capture_on_commit_callbacks
):
    broken = add_key(alice, label="broken")
    break_seal(broken)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(SealBroken):
        signed(broken, "/v2/auth/r/wallets", b"{}")
    with django_capture_on_commit_callbacks(execute=True):
        keys.disarm_key(key=waiting, by=alice, reason="to be sure")
    told = [text for text in Notice.objects.values_list("text", flat=True) if BROKEN in text]
    assert [("broken" in text) for text in told] == [True]
    assert "seal" not in STATE_WORDS[KeyState.QUARANTINED]
