"""The people of every test: Alice owns things, Bob is somebody else, Charlie is staff."""

import pytest

from accounts.models import User


def make_user(username: str, *, is_staff: bool = False) -> User:
    return User.objects.create_user(username, password="tests-only-pass-phrase", is_staff=is_staff)


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("bob")


@pytest.fixture
def charlie(db: None) -> User:
    return make_user("charlie", is_staff=True)
