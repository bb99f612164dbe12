"""The pages of one's own keys."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import keys as use_cases
from accounts.errors import ExchangeUnavailable, KeyRejected
from accounts.models import ApiKey, Halt, HaltLevel
from tests.accounts import fakes
from tests.accounts.sessions import browser_of, give_factor, key_fields


@pytest.fixture
def browser(alice):
    give_factor(alice)
    return browser_of(alice, proof="mfa")


def page(browser, name, *args) -> str:
    text: str = browser.get(reverse(f"accounts:{name}", args=args)).content.decode()
    return text


def post(browser, name, *args, **fields):
    return browser.post(reverse(f"accounts:{name}", args=args), fields, follow=True)


def test_a_key_is_added_and_its_permissions_are_shown(browser, alice):
    fields = key_fields(label="bot", api_key=f" {'n' * 39}WXYZ\n")
    answer = post(browser, "add_key", **fields)
    key = ApiKey.objects.get()
    assert (key.owner, key.label, key.last4, key.state) == (alice, "bot", "WXYZ", "usable")
    assert answer.request["PATH_INFO"] == reverse("accounts:key", args=[key.pk])
    text = answer.content.decode()
    assert 'data-scope="orders"' in text
    assert "It only reads until you arm it" in text
    assert str(fields["api_secret"]) not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_secret": "CANARY no key"}, "does not look like an API key"),
        ({"label": "two\x85lines"}, "one short line"),
        ({"terms": ""}, "required"),
    ],
)
def test_a_refusal_is_said_and_what_was_pasted_is_gone(browser, changes, words):
    answer = post(browser, "add_key", **key_fields(**{"api_key": "CANARY" + "k" * 40, **changes}))
    text = answer.content.decode()
    assert (answer.status_code, words in text, "CANARY" in text) == (200, True, False)
    assert not ApiKey.objects.exists()


def test_what_the_exchange_refuses_is_said_in_clear_words(browser, exchange):
    exchange.problem = KeyRejected(10100, "apikey: invalid")
    assert b"does not accept this key" in post(browser, "add_key", **key_fields()).content
    exchange.problem = None
    exchange.rows = [("withdraw", 0, 1)]
    assert b"may withdraw money" in post(browser, "add_key", **key_fields()).content


def test_the_same_key_is_refused_without_telling_whose_it_is(browser, bob, add_key):
    name = fakes.new_text()
    add_key(bob, api_key=name)
    text = post(browser, "add_key", **key_fields(api_key=name)).content.decode()
    assert "already stored" in text
    assert "bob" not in text


def test_a_key_waits_when_the_exchange_is_away_and_is_asked_again(browser, exchange):
    exchange.problem = ExchangeUnavailable("no answer")
    text = post(browser, "add_key", **key_fields()).content.decode()
    assert "not confirmed yet" in text
    exchange.problem = None
    key = ApiKey.objects.get()
    assert "read-only" in post(browser, "check_key", key.pk).content.decode()


def test_a_server_without_its_master_key_says_so(browser, settings, tmp_path):
    settings.BFX_MASTER_KEY_FILE = tmp_path / "nowhere"
    page_ = post(browser, "add_key", **key_fields())
    assert b"cannot seal a key" in page_.content
    assert not ApiKey.objects.exists()


def test_a_key_is_armed_and_disarmed(browser, key):
    assert "Arm main?" in page(browser, "arm_key", key.pk)
    assert "armed: may place orders" in post(browser, "arm_key", key.pk).content.decode()
    assert ApiKey.objects.get().is_armed(timezone.now() + timedelta(hours=11, minutes=59))
    assert "read-only" in post(browser, "disarm_key", key.pk).content.decode()


def test_a_key_without_orders_is_not_armed(browser, alice, add_key, exchange):
    exchange.rows = [("wallets", 1, 0)]
    key = add_key(alice)
    assert "Arm key" not in page(browser, "key", key.pk)
    assert "may not write orders" in post(browser, "arm_key", key.pk).content.decode()


def test_a_policy_is_changed(browser, key):
    fields = {"symbols": "tBTCUSD", "largest_order": "250", "day_total": "1000"}
    more = {"price_band": "5", "orders_a_minute": "3"}
    assert "Largest order" in page(browser, "policy", key.pk)
    text = post(browser, "policy", key.pk, **fields, **more).content.decode()
    assert "250 USD" in text
    assert ApiKey.objects.get().policy.symbols == ("tBTCUSD",)
    wrong = post(browser, "policy", key.pk, **{**fields, **more, "day_total": "1e5"})
    assert b"A plain number" in wrong.content


def test_a_policy_of_a_revoked_key_is_not_changed(browser, key, alice):
    use_cases.revoke_key(key=key, by=alice, reason="test")
    fields = {"largest_order": "250", "day_total": "1", "price_band": "5", "orders_a_minute": "3"}
    assert b"is revoked" in post(browser, "policy", key.pk, **fields).content


def test_a_key_is_revoked_and_burnt(browser, key, exchange):
    assert "Burn its nonces" in page(browser, "revoke_key", key.pk)
    text = post(browser, "revoke_key", key.pk, reason="leaked", burn="on").content.decode()
    assert "Its nonces are burnt" in text
    assert exchange.asked[-1] == "burn usable halt 0"


def test_a_key_whose_burning_failed_is_revoked_all_the_same(browser, key, exchange):
    exchange.problem = ExchangeUnavailable("time-out")
    text = post(browser, "revoke_key", key.pk, reason="leaked", burn="on").content.decode()
    assert "may not be burnt: time-out" in text
    assert ApiKey.objects.get().is_revoked


def test_a_key_is_revoked_with_its_orders_and_a_reason(browser, key, exchange):
    assert b"required" in post(browser, "revoke_key", key.pk).content
    assert not ApiKey.objects.get().is_revoked
    fields = {"reason": "strange orders", "cancel_orders": "on"}
    text = post(browser, "revoke_key", key.pk, **fields).content.decode()
    assert "Open orders cancelled before: 2." in text
    assert "strange orders" in text
    assert "delete it at Bitfinex" in text
    assert exchange.asked[-1] == "cancel_all usable halt 1"


def test_what_became_of_the_orders_is_said_when_it_is_not_known(browser, key, exchange):
    exchange.problem = ExchangeUnavailable("no answer in 10 s")
    fields = {"reason": "x", "cancel_orders": "on"}
    text = post(browser, "revoke_key", key.pk, **fields).content.decode()
    assert "may still stand: no answer in 10 s" in text
    assert ApiKey.objects.get().is_revoked


def test_ones_own_keys_are_halted_and_released(browser, key):
    text = post(browser, "halt", level="2", reason="let me think").content.decode()
    assert "Your keys are halted" in text
    assert ApiKey.objects.get().halt == HaltLevel.SIGNING
    post(browser, "halt", level="0", reason="all is well")
    assert ApiKey.objects.get().halt == HaltLevel.NONE


def test_what_staff_have_halted_one_does_not_release(browser, key, alice, charlie):
    use_cases.halt_keys(by=charlie, owner=alice, level=HaltLevel.SIGNING, reason="look at it")
    text = post(browser, "halt", level="0", reason="no").content.decode()
    assert "Not done" in text
    assert Halt.objects.get(scope=f"user:{alice.pk}").level == HaltLevel.SIGNING


def test_the_states_say_what_the_page_shows(browser, key):
    states = browser.get(reverse("accounts:key_states")).json()
    assert states == {"keys": {str(key.pk): {"state": "usable", "words": "read-only"}}}


def test_without_keys_the_page_says_what_to_do(browser):
    assert "You have no keys here yet" in page(browser, "keys")
    assert "no living key" in page(browser, "leaked")


def test_the_guide_names_the_addresses_of_this_server(browser, settings):
    settings.BFX_SERVER_ADDRESSES = ["203.0.113.9"]
    assert "203.0.113.9" in page(browser, "guide")


def test_in_sandbox_mode_the_key_page_is_the_sandboxs(browser, settings):
    settings.BFX_REST_URL = "http://127.0.0.1:8900"
    assert 'href="http://127.0.0.1:8900/keys"' in page(browser, "add_key")
    settings.BFX_EXCHANGE = "live"
    assert "127.0.0.1:8900" not in page(browser, "add_key")


def test_a_leak_has_a_page_with_every_living_key(browser, key, alice, add_key):
    gone = add_key(alice)
    use_cases.revoke_key(key=gone, by=alice, reason="test")
    text = page(browser, "leaked")
    assert reverse("accounts:revoke_key", args=[key.pk]) in text
    assert str(gone.pk) not in text


def test_the_list_asks_as_often_for_many_keys_as_for_one(
    browser, alice, add_key, django_assert_max_num_queries
):
    for _ in range(6):
        add_key(alice)
    with django_assert_max_num_queries(7):
        page(browser, "keys")
