from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts import people, socket_sessions
from accounts.models import User
from tests.accounts.sessions import browser_of, give_factor, session_key_of


@pytest.fixture
def session_key(alice) -> str:
    give_factor(alice)
    return session_key_of(browser_of(alice))


def test_the_key_comes_from_our_own_cookie():
    headers = [(b"cookie", b"other=1; bfx=abc"), (b"cookie", b"more=2")]
    assert socket_sessions.session_key_of({"headers": headers}) == "abc"


@pytest.mark.parametrize("cookie", [b"", b"bfxx=1", b"\xff\xfe", b"[]=;;", b"bfx"])
def test_without_it_there_is_no_key(cookie):
    assert socket_sessions.session_key_of({"headers": [(b"cookie", cookie)]}) == ""


def test_a_session_in_force_names_its_holder(session_key, alice):
    assert socket_sessions.holder(session_key) == socket_sessions.Holder(alice.pk, session_key)
    assert socket_sessions.holder("no-such-session") is None


def test_without_a_second_factor_nothing_private_is_heard(bob):
    assert socket_sessions.holder(session_key_of(browser_of(bob, factor_used=False))) is None


def test_after_a_change_of_the_secret_key_old_sessions_go_on(session_key, settings):
    """T8: Channels' own middleware takes nobody for granted then, and deletes the session."""
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ"
    assert socket_sessions.holder(session_key)
    assert Session.objects.filter(pk=session_key).exists()


def test_a_cookie_that_means_nothing_deletes_nothing(session_key, settings):
    """T8."""
    settings.SECRET_KEY = "another-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ"
    settings.SECRET_KEY_FALLBACKS = []
    assert socket_sessions.holder(session_key) is None
    assert Session.objects.filter(pk=session_key).exists()


def end_by_deactivation(alice, charlie, key):
    people.deactivate(user=alice, by=charlie, reason="test")


def end_by_password(alice, charlie, key):
    alice.set_password("another long phrase")
    alice.save()


def end_by_epoch(alice, charlie, key):
    User.objects.update(auth_epoch=7)


def end_by_logout(alice, charlie, key):
    Session.objects.filter(pk=key).delete()


def end_by_time(alice, charlie, key):
    Session.objects.filter(pk=key).update(expire_date=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    "end", [end_by_deactivation, end_by_password, end_by_epoch, end_by_logout, end_by_time]
)
def test_g13_whatever_ends_a_session_ends_it_for_sockets(end, session_key, alice, charlie):
    end(alice, charlie, session_key)
    assert socket_sessions.in_force([session_key]) == {}


def test_an_idle_session_is_not_in_force(session_key, alice):
    from django.contrib.sessions.backends.db import SessionStore

    store = SessionStore(session_key)
    store["seen"] = store["seen"] - 3601
    store.save()
    assert socket_sessions.in_force([session_key]) == {}


def test_many_sessions_are_asked_after_in_two_queries(alice, bob, django_assert_num_queries):
    keys = [session_key_of(browser_of(user)) for user in (alice, bob, alice)]
    with django_assert_num_queries(2):
        found = socket_sessions.in_force(keys)
    assert sorted(found.values()) == sorted([alice.pk, bob.pk, alice.pk])
