from django.core import mail

from accounts.models import Notice
from accounts.notices import notify, take_unseen, unseen_count


def test_a_notice_is_new_until_it_was_shown(alice, bob):
    notify(alice, "Something happened.")
    assert (unseen_count(alice), unseen_count(bob)) == (1, 0)
    assert [each.text for each in take_unseen(alice)] == ["Something happened."]
    assert take_unseen(alice) == []


def test_what_is_said_once_is_not_said_again(alice):
    notify(alice, "New sign-in from here.", once=True)
    notify(alice, "New sign-in from here.", once=True)
    assert Notice.objects.count() == 1


def test_it_is_mailed_where_there_is_mail(alice, settings, django_capture_on_commit_callbacks):
    alice.email = "alice@example.org"
    with django_capture_on_commit_callbacks(execute=True):
        notify(alice, "Without a server of mail.")
    settings.EMAIL_ON = True
    with django_capture_on_commit_callbacks(execute=True):
        notify(alice, "Your password was changed.")
    assert [message.to for message in mail.outbox] == [["alice@example.org"]]
    assert "Your password was changed." in mail.outbox[0].body


def test_a_mail_server_that_is_away_breaks_nothing(
    alice, settings, django_capture_on_commit_callbacks
):
    settings.EMAIL_ON, settings.EMAIL_BACKEND = True, "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    alice.email = "alice@example.org"
    with django_capture_on_commit_callbacks(execute=True):
        notify(alice, "Kept here.")
    assert unseen_count(alice) == 1
