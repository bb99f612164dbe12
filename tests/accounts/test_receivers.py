"""What logins leave behind: events, notices, and the same answer whoever asks."""

import time
from bisect import bisect_right
from math import sqrt
from typing import ClassVar

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import keys
from accounts.models import AuditEvent, AuditPii, Notice
from accounts.passwords import Argon2
from tests.accounts.sessions import PASSWORD, browser_of, code_of, give_factor

LOGIN = "account_login"
SAMPLES = 200


@pytest.fixture(autouse=True)
def no_former_attempts(db):
    cache.clear()


def log_in(client, password=PASSWORD, username="alice"):
    return client.post(reverse(LOGIN), {"login": username, "password": password})


def texts(user) -> str:
    return " ".join(Notice.objects.filter(user=user).values_list("text", flat=True))


def test_a_login_leaves_an_event_and_a_notice_of_a_new_browser(client, alice):
    assert log_in(client).status_code == 302
    event = AuditEvent.objects.get(tag="login.done")
    assert (event.actor, event.outcome) == (alice.pk, "ok")
    assert "127.0.0.1" in AuditPii.objects.get(seq=event.seq).data
    assert "127.0.0.1" not in event.data
    assert "New sign-in from 127.0.0.1" in texts(alice)


def test_an_account_with_a_factor_is_not_in_after_its_password(client, alice):
    seed = give_factor(alice)
    assert log_in(client)["Location"] == reverse("mfa_authenticate")
    assert client.get(reverse("accounts:keys")).status_code == 302
    answer = client.post(reverse("mfa_authenticate"), {"code": code_of(seed)})
    assert answer.status_code == 302
    assert client.get(reverse("accounts:keys")).status_code == 200


def test_a_session_from_before_the_login_is_worth_nothing(client, alice):
    """Fixation."""
    client.get(reverse(LOGIN))
    client.cookies["bfx"] = "0123456789abcdefghijklmnopqrstuv"
    log_in(client)
    assert client.session.session_key != "0123456789abcdefghijklmnopqrstuv"


def test_failed_attempts_are_told_at_the_next_login(client, alice):
    for _ in range(3):
        log_in(client, "not the password")
    log_in(client)
    assert "after 3 failed attempts" in texts(alice)
    assert AuditEvent.objects.filter(tag="login.failed", subject=alice.pk).count() == 3


def test_a_wrong_code_counts_as_a_failed_attempt(client, alice):
    give_factor(alice)
    log_in(client)
    client.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert "second factor" in AuditEvent.objects.get(tag="login.failed").data


def test_unknown_names_and_wrong_passwords_get_the_same_answer(client, alice):
    pages = [
        log_in(client, "not the password", name).content.decode().replace(name, "NAME")
        for name in ("alice", "nobody")
    ]
    strip = [page.split("<form", 1)[1].split("csrfmiddlewaretoken")[0] for page in pages]
    assert strip[0] == strip[1]
    assert all("do not belong together" in page for page in pages)


class Counting(Argon2):
    """Our hasher, which notes what it is made to do."""

    runs: ClassVar[list[str]] = []

    def encode(self, password: str, salt: str) -> str:
        self.runs.append("encode")
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        self.runs.append("verify")
        return super().verify(password, encoded)


def test_unknown_names_cost_as_much_work_as_wrong_passwords(client, alice, settings):
    """Both an Argon2 run with the same cost, and as many queries."""
    settings.PASSWORD_HASHERS = ["tests.accounts.test_receivers.Counting"]
    settings.ACCOUNT_RATE_LIMITS = False
    alice.set_password(PASSWORD)
    alice.save()
    work = {}
    for name in ("alice", "nobody"):
        log_in(client, "not the password", name)  # the first one sets counters up
        Counting.runs.clear()
        with CaptureQueriesContext(connection) as queries:
            log_in(client, "not the password", name)
        work[name] = (list(Counting.runs), len(queries))
    assert work["alice"][0] == ["verify"]
    assert work["nobody"][0] == ["encode"]
    assert work["alice"][1] == work["nobody"][1]


@pytest.mark.full
def test_unknown_names_take_as_long_as_wrong_passwords(client, alice, settings):
    """Kolmogorov and Smirnov cannot tell 200 answers of each kind apart (level 0.1 %)."""
    settings.PASSWORD_HASHERS = ["accounts.passwords.Argon2"]
    settings.ACCOUNT_RATE_LIMITS = False
    alice.set_password(PASSWORD)
    alice.save()
    took: dict[str, list[float]] = {"alice": [], "nobody": []}
    for number in range(2 * SAMPLES):
        name = ("alice", "nobody", "nobody", "alice")[number % 4]
        began = time.perf_counter()
        log_in(client, "not the password", name)
        took[name].append(time.perf_counter() - began)
    known, unknown = (sorted(times) for times in took.values())
    distance = max(
        abs(bisect_right(known, at) - bisect_right(unknown, at)) / SAMPLES
        for at in [*known, *unknown]
    )
    limit = 1.95 * sqrt(2 / SAMPLES)
    middle = [f"{1000 * times[SAMPLES // 2]:.1f}" for times in (known, unknown)]
    print(f"medians {middle} ms, distance {distance:.3f} (limit {limit:.3f})")
    assert distance < limit


def test_after_five_failures_a_name_is_locked_out_for_a_while(client, alice):
    for _ in range(5):
        log_in(client, "not the password")
    page = log_in(client)
    assert b"Too many attempts" in page.content
    assert client.get(reverse("accounts:keys")).status_code == 302


def test_a_spoofed_address_does_not_open_a_new_count(client, alice):
    for number in range(11):
        fields = {"login": f"name{number}", "password": "not the password"}
        headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        page = client.post(reverse(LOGIN), fields, headers=headers)
    assert b"Too many attempts" in page.content


def test_a_spoofed_host_does_not_open_a_new_count(client, alice):
    for port in range(5):
        fields = {"login": "alice", "password": "not the password"}
        client.post(reverse(LOGIN), fields, headers={"Host": f"localhost:{port + 1000}"})
    assert b"Too many attempts" in log_in(client).content


@pytest.mark.django_db(transaction=True)
def test_a_person_hears_who_revoked_his_key(alice, add_key, charlie):
    """None: the host's command line, or the server itself when the key was long unused."""
    for by, label in ((charlie, "one"), (None, "two"), (alice, "three")):
        keys.revoke_key(key=add_key(alice, label=label), by=by, reason="seen on a paste site")
    said = texts(alice)
    assert "revoked by an administrator: seen on a paste site" in said
    assert "revoked by the server: seen on a paste site" in said
    assert "three" not in said


def test_reset_by_mail_asks_for_the_factor_and_pauses_arming(client, alice, mailoutbox):
    seed = give_factor(alice)
    alice.email = "alice@example.org"
    alice.save()
    other = browser_of(alice)
    client.post(reverse("account_reset_password"), {"email": "alice@example.org"})
    link = next(w for w in mailoutbox[0].body.split() if "/password/reset/" in w)
    form = client.get(link.removeprefix("http://testserver"), follow=True)
    new = {"password1": "another long phrase", "password2": "another long phrase"}
    assert client.post(form.request["PATH_INFO"], new).status_code == 302
    alice.refresh_from_db()
    assert alice.no_arming_until is not None
    assert other.get(reverse("accounts:keys")).status_code == 302
    assert log_in(client, "another long phrase")["Location"] == reverse("mfa_authenticate")
    client.post(reverse("mfa_authenticate"), {"code": code_of(seed)})
    assert client.get(reverse("accounts:keys")).status_code == 200


def test_who_asks_for_a_reset_of_an_unknown_address_learns_nothing(client, alice, mailoutbox):
    answer = client.post(reverse("account_reset_password"), {"email": "nobody@example.org"})
    assert (answer.status_code, answer["Location"]) == (302, reverse("account_reset_password_done"))


@pytest.mark.django_db(transaction=True)
def test_a_person_hears_once_that_the_exchange_has_dropped_his_key(alice, key):
    for _ in range(2):
        keys.note_rejection(key=key, code=10100, text="apikey: invalid")
    assert texts(alice).count("the exchange no longer accepts it") == 1


@pytest.mark.django_db(transaction=True)
def test_the_last_factor_may_go_and_takes_its_codes_along(alice):
    give_factor(alice)
    browser = browser_of(alice, proof="mfa")
    assert browser.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert "An authenticator app was removed" in texts(alice)
    assert AuditEvent.objects.filter(tag="factor.removed", actor=alice.pk).count() == 2
    assert browser.get(reverse("accounts:keys"))["Location"] == reverse("mfa_index")
