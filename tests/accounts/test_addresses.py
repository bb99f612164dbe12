import pytest
import time_machine

from accounts import addresses
from accounts.models import AuditEvent, AuditPii, Notice, User

LINK = "http://testserver/account/email/{token}/"
NEW = "new@example.org"


@pytest.fixture
def owner(alice):
    alice.email = "old@example.org"
    alice.save()
    return alice


def test_a_link_goes_to_the_new_address_and_changes_nothing(owner, mailoutbox):
    assert addresses.ask(user=owner, address=NEW, link=LINK)
    (mail,) = mailoutbox
    assert mail.to == [NEW]
    token = mail.body.split("/account/email/")[1].split("/")[0]
    assert addresses.find(owner, token) == NEW
    assert User.objects.get(pk=owner.pk).email == "old@example.org"


def test_a_link_is_for_one_person_one_day_and_one_change(owner, bob):
    token = addresses.token(owner, NEW)
    assert addresses.find(bob, token) == ""
    assert addresses.find(owner, token + "x") == ""
    with time_machine.travel(addresses.LIFE.total_seconds() + time_now(), tick=False):
        assert addresses.find(owner, token) == ""
    addresses.change(user=owner, address=NEW, pii={})
    assert addresses.find(User.objects.get(pk=owner.pk), token) == ""


def time_now() -> float:
    import time

    return time.time() + 1


def test_the_former_address_hears_of_it(
    owner, mailoutbox, settings, django_capture_on_commit_callbacks
):
    settings.EMAIL_ON = True
    with django_capture_on_commit_callbacks(execute=True):
        addresses.change(user=owner, address=NEW, pii={"address": "192.0.2.1"})
    assert [mail.to for mail in mailoutbox] == [["old@example.org"]]
    assert "was changed" in Notice.objects.get().text
    event = AuditEvent.objects.get()
    assert (event.tag, event.data) == ("account.email_changed", "{}")
    assert NEW in AuditPii.objects.get(seq=event.seq).data


def test_without_a_mail_server_nothing_is_claimed(owner, settings):
    settings.EMAIL_BACKEND = "tests.accounts.test_addresses.Away"
    assert not addresses.ask(user=owner, address=NEW, link=LINK)


class Away:
    def __init__(self, **options):
        pass

    def send_messages(self, messages):
        raise ConnectionRefusedError("no mail server")
