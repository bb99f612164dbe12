"""The people of the site."""

from django.contrib.auth import get_user_model

from accounts.models import User


def test_people_are_rows_of_our_own_user_model():
    assert get_user_model() is User


def test_alice_and_bob_are_nobody_special_and_charlie_is_staff(alice, bob, charlie):
    assert [person.is_staff for person in (alice, bob, charlie)] == [False, False, True]
    assert alice.pk != bob.pk
