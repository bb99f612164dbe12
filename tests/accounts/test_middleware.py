"""Closed by default, and sessions that end."""

import time

import pytest
from django.conf import settings as project
from django.urls import reverse

from accounts.middleware import ENROLMENT, FRESH
from tests.accounts.routes_roles import MATRIX
from tests.accounts.sessions import browser_of, give_factor


def test_the_lists_name_pages_that_exist():
    assert set(MATRIX) >= project.PUBLIC_VIEWS | ENROLMENT | FRESH


def test_whoever_is_not_signed_in_comes_back_after_it(client, db):
    answer = client.get(reverse("accounts:keys"))
    assert answer["Location"] == "/account/login/?next=/keys/"


def test_a_post_without_a_session_is_refused_and_not_sent_anywhere(client, db):
    assert client.post(reverse("accounts:halt"), {"reason": "x"}).status_code == 403


def test_private_pages_are_kept_by_no_cache(alice):
    give_factor(alice)
    answer = browser_of(alice).get(reverse("accounts:keys"))
    assert "no-store" in answer["Cache-Control"]


def test_the_logout_clears_what_the_browser_has_kept(alice):
    give_factor(alice)
    answer = browser_of(alice).post(reverse("account_logout"))
    assert (answer.status_code, answer["Clear-Site-Data"]) == (302, '"cache"')


@pytest.mark.parametrize(
    ("began", "seen", "status"),
    [(0, 0, 200), (0, 3601, 302), (86_401, 0, 302), (86_300, 3500, 200)],
)
def test_a_session_ends_after_a_day_and_after_an_hour_without_use(alice, began, seen, status):
    give_factor(alice)
    browser = browser_of(alice)
    session, now = browser.session, int(time.time())
    session["began"], session["seen"] = now - began, now - seen
    session.save()
    assert browser.get(reverse("accounts:keys")).status_code == status


def test_a_stranger_on_a_public_page_costs_no_query(client, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get(reverse("market:about"))
    assert "Cookie" in answer["Vary"]  # it shows more links to who is signed in
    assert not answer.cookies


def test_the_session_cookie_is_out_of_reach(alice, client):
    fields = {"login": "alice", "password": "tests-only-pass-phrase"}
    answer = client.post(reverse("account_login"), fields)
    cookie = answer.cookies["bfx"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")


def test_a_page_that_asks_by_itself_does_not_keep_a_session_alive(alice):
    give_factor(alice)
    browser = browser_of(alice)
    session = browser.session
    session["seen"] = before = int(time.time()) - 600
    session.save()
    browser.get(reverse("accounts:key_states"))
    assert browser.session["seen"] == before
    browser.get(reverse("accounts:keys"))
    assert browser.session["seen"] > before
