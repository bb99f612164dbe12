"""Accounts come from links: the first one from the host, the others from staff."""

import hashlib
import re
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import invitations
from accounts.errors import NotAllowed
from accounts.models import AuditEvent, Invitation, User


def accept(token, username="dora"):
    return invitations.accept(
        token=token, username=username, password="a long pass phrase", pii={"address": "::1"}
    )


def setup_token() -> str:
    token = invitations.make_setup_token()
    assert token
    return token


def test_the_first_account_is_staff_and_comes_from_the_set_up_link(db):
    user = accept(setup_token())
    assert (user.is_staff, user.is_first, user.check_password("a long pass phrase")) == (1, 1, 1)
    assert AuditEvent.objects.get().tag == "account.made"


def test_once_there_is_an_account_there_is_no_set_up_link(alice):
    assert invitations.setup_link("http://localhost:8000") == ""


def test_a_set_up_link_dies_with_the_first_account(db):
    token = setup_token()
    User.objects.create_user("somebody")
    assert accept(token) is None


def test_a_new_set_up_link_replaces_the_former(db):
    former, newer = setup_token(), setup_token()
    assert invitations.find(former) is None
    assert invitations.find(newer)


def test_the_database_keeps_only_the_hash(charlie):
    token = invitations.invite(by=charlie)
    row = Invitation.objects.get()
    assert row.token_hash == hashlib.sha256(token.encode()).hexdigest()
    assert token.split(":")[0] not in str(Invitation.objects.values())


def test_an_invitation_works_once_and_makes_an_ordinary_account(charlie):
    token = invitations.invite(by=charlie)
    user = accept(token)
    assert (user.is_staff, user.is_superuser, user.is_first) == (False, False, False)
    assert accept(token, "other") is None
    assert Invitation.objects.get().used_by == user


def test_an_invitation_lasts_a_day(charlie):
    token = invitations.invite(by=charlie)
    with time_machine.travel(timezone.now() + timedelta(hours=23, minutes=59), tick=False):
        assert invitations.find(token)
    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=2), tick=False):
        assert invitations.find(token) is None


@pytest.mark.parametrize("token", ["", "x", "a:b:c", "ä" * 40])
def test_a_made_up_token_is_none(db, token):
    assert invitations.find(token) is None


def test_only_staff_invite(alice):
    with pytest.raises(NotAllowed):
        invitations.invite(by=alice)


def test_the_command_prints_the_link(db, capsys):
    call_command("setup_link", "http://localhost:8000/")
    assert re.fullmatch(r"http://localhost:8000/invitation/\S+/\n", capsys.readouterr().out)


def test_the_command_refuses_once_there_is_an_account(alice):
    with pytest.raises(CommandError, match="already"):
        call_command("setup_link", "http://localhost:8000")
