from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from accounts import keys, people
from accounts.errors import ArmingPaused, NotAllowed
from accounts.models import ApiKey, AuditEvent, User
from tests.accounts.sessions import browser_of, code_of, give_factor


def is_in(browser) -> bool:
    return bool(browser.get(reverse("accounts:keys")).status_code == 200)


def test_a_deactivated_account_is_out_at_once_and_stays_out(alice, charlie):
    give_factor(alice)
    browser = browser_of(alice)
    people.deactivate(user=alice, by=charlie, reason="left us")
    assert not is_in(browser)
    people.reactivate(user=alice, by=charlie, reason="back again")
    assert not is_in(browser)
    assert User.objects.get(pk=alice.pk).is_active
    tags = list(AuditEvent.objects.values_list("tag", flat=True))
    assert tags[-2:] == ["account.deactivated", "account.reactivated"]


def test_only_staff_deactivate_and_nobody_himself(alice, bob, charlie):
    for user, by in [(alice, bob), (charlie, charlie)]:
        with pytest.raises(NotAllowed):
            people.deactivate(user=user, by=by, reason="no")


def test_staff_make_others_staff_and_no_longer(alice, charlie):
    people.make_staff(user=alice, by=charlie, reason="helps")
    assert User.objects.get(pk=alice.pk).is_staff
    people.end_staff(user=charlie, by=User.objects.get(pk=alice.pk), reason="left")
    assert not User.objects.get(pk=charlie.pk).is_staff
    tags = list(AuditEvent.objects.values_list("tag", flat=True))
    assert tags == ["account.made_staff", "account.no_longer_staff"]


def test_nobody_makes_himself_staff_or_the_last_one_none(alice, bob, charlie):
    for user, by in [(alice, alice), (alice, bob), (charlie, charlie)]:
        with pytest.raises(NotAllowed):
            people.make_staff(user=user, by=by, reason="no")
        with pytest.raises(NotAllowed):
            people.end_staff(user=user, by=by, reason="no")
    people.make_staff(user=alice, by=charlie, reason="helps")
    people.end_staff(user=charlie, by=alice, reason="left")
    with pytest.raises(NotAllowed):  # what he holds in memory is old
        people.end_staff(user=alice, by=charlie, reason="revenge")


def test_no_key_is_armed_for_a_day_after_a_recovery(armed, alice):
    people.pause_arming(user=alice, reason="test")
    assert ApiKey.objects.get().armed_until is None
    with pytest.raises(ArmingPaused):
        keys.arm_key(key=armed, by=alice)
    User.objects.update(no_arming_until=timezone.now() - timedelta(seconds=1))
    keys.arm_key(key=armed, by=alice)


def test_mfa_reset_is_for_the_host_and_costs_a_day(armed, alice, capsys):
    give_factor(alice)
    browser = browser_of(alice)
    call_command("mfa_reset", "Alice", "--reason", "lost her phone")
    assert "2 factors" in capsys.readouterr().out
    assert not Authenticator.objects.exists()
    assert not is_in(browser)
    assert ApiKey.objects.get().armed_until is None
    event = AuditEvent.objects.get(tag="factor.reset")
    assert (event.actor, "lost her phone" in event.data) == (None, True)


def test_mfa_reset_names_whom_it_does_not_know(db):
    with pytest.raises(CommandError, match="nobody"):
        call_command("mfa_reset", "nobody", "--reason", "test")


def test_a_recovery_code_lets_in_and_pauses_arming(armed, alice):
    give_factor(alice)
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    browser = browser_of(alice)
    answer = browser.post(reverse("accounts:confirm"), {"code": codes[0], "next": "/keys/"})
    assert answer.status_code == 302
    assert ApiKey.objects.get().armed_until is None
    again = browser.post(reverse("accounts:confirm"), {"code": codes[0]})
    assert again.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_password_change_ends_all_other_sessions_and_keeps_this_one(alice):
    give_factor(alice)
    here, elsewhere = browser_of(alice, proof="mfa"), browser_of(alice)
    fields = {
        "oldpassword": "tests-only-pass-phrase",
        "password1": "another long phrase",
        "password2": "another long phrase",
    }
    answer = here.post(reverse("account_change_password"), fields)
    assert answer.status_code == 302, answer.content
    assert (is_in(here), is_in(elsewhere)) == (True, False)


@pytest.mark.django_db(transaction=True)
def test_a_new_factor_ends_all_other_sessions(alice):
    alice.is_first = True
    alice.save()
    elsewhere = browser_of(alice, factor_used=False)
    here = browser_of(alice, proof="password", factor_used=False)
    here.get(reverse("mfa_activate_totp"))
    from allauth.mfa.utils import decrypt

    seed = decrypt(here.session["mfa.totp.secret"])
    answer = here.post(reverse("mfa_activate_totp"), {"code": code_of(seed)})
    assert answer["Location"] == reverse("mfa_view_recovery_codes")
    assert (is_in(here), is_in(elsewhere)) == (True, False)
    assert b"data-recovery-codes" in here.get(answer["Location"]).content
    assert b"data-recovery-codes" not in here.get(answer["Location"]).content


def test_ending_the_other_sessions_ends_them(alice):
    give_factor(alice)
    here, elsewhere = browser_of(alice, proof="mfa"), browser_of(alice)
    assert here.post(reverse("usersessions_list")).status_code == 302
    assert (is_in(here), is_in(elsewhere)) == (True, False)
