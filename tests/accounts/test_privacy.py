"""What is kept about a person, and that a deletion leaves nothing of it while the chain holds."""

import json

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.serializers.json import DjangoJSONEncoder

from accounts import audit, keys, privacy, signals
from accounts.audit import Tag
from accounts.errors import NotAllowed
from accounts.models import ApiKey, AuditEvent, AuditPii, HaltLevel, Notice, User
from accounts.notices import notify
from tests.accounts import fakes
from tests.accounts.sessions import PASSWORD, browser_of, give_factor
from tests.factories import make_user

MARK = "zaphod"  # whatever tells who it was holds this


@pytest.fixture
def person(db, add_key, charlie):
    """Somebody with everything an account can have. Charlie stays as administrator."""
    user = make_user(f"{MARK}-name")
    User.objects.filter(pk=user.pk).update(email=f"{MARK}@example.org", first_name=MARK)
    user.refresh_from_db()
    give_factor(user)
    EmailAddress.objects.create(user=user, email=f"{MARK}@example.org")
    browser_of(user)
    UserSession.objects.filter(user=user).update(user_agent=MARK)
    keys.arm_key(key=add_key(user, label=f"{MARK} one"), by=user)
    keys.revoke_key(key=add_key(user, label=f"{MARK} two"), by=user, reason="test")
    keys.halt_keys(by=user, owner=user, level=HaltLevel.ORDERS, reason=f"for {MARK}, no: test")
    notify(user, f"Hello {MARK}")
    audit.record(Tag.LOGGED_IN, actor=user, about=user, pii={"browser": MARK})
    return user


def everything() -> str:
    """Every row of every table, as text."""
    from django.apps import apps

    rows = [model._default_manager.values() for model in apps.get_models()]
    return "\n".join(str(row) for found in rows for row in found)


def test_what_is_kept_is_handed_out_without_a_secret(person, bob, add_key):
    name, secret = "CANARYNAME" + fakes.new_text(), "CANARYSECRET" + fakes.new_text()
    add_key(person, label="third", api_key=name, api_secret=secret)
    add_key(bob, label="of bob")
    found = json.loads(json.dumps(privacy.personal_data(person), cls=DjangoJSONEncoder))
    assert found["account"]["email"] == f"{MARK}@example.org"
    assert {key["label"] for key in found["keys"]} == {f"{MARK} one", f"{MARK} two", "third"}
    assert [each["seen"] for each in found["events"] if each["what"] == "login.done"] == [
        {"browser": MARK}
    ]
    assert len(found["sessions"]) == len(found["notices"]) == 1
    text = json.dumps(found)
    assert "CANARY" not in text
    assert "of bob" not in text
    assert "seed" not in text


def test_others_add_what_they_keep(person):
    def tell(user, **sent):
        return {"orders": [f"of {user.username}"]}

    signals.personal_data.connect(tell)
    try:
        found = privacy.personal_data(person)
    finally:
        signals.personal_data.disconnect(tell)
    assert found["orders"] == [f"of {MARK}-name"]


def test_g17_a_deleted_account_leaves_no_trace_of_its_person_and_the_chain_holds(person):
    assert everything().count(MARK) > 8
    done = privacy.delete_account(user=person)
    assert len(done) == 1
    left = [line for line in everything().splitlines() if MARK in line]
    assert [line for line in left if "halt.set" not in line] == []  # a reason, which he typed
    assert audit.verify().broken is None
    row = User.objects.get(pk=person.pk)
    assert (row.is_active, row.email, row.has_usable_password()) == (False, "", False)
    for model in (Authenticator, UserSession, Notice, EmailAddress, Session):
        assert not model.objects.exists()
    assert list(AuditEvent.objects.values_list("tag", flat=True))[-1] == "account.deleted"


def test_a_deletion_wipes_every_key_and_can_cancel_before(person, exchange):
    exchange.asked.clear()
    (done,) = privacy.delete_account(user=person, cancel_orders=True)
    assert exchange.asked == ["cancel_all usable halt 1"]
    assert done.cancelled == exchange.cancelled
    rows = ApiKey.objects.with_seal().filter(owner=person)
    assert {(row.is_revoked, row.sealed_secret, row.label) for row in rows} == {
        (True, None, "deleted")
    }


def test_a_deletion_spares_everybody_else(person, bob, add_key):
    his = add_key(bob, label="of bob")
    give_factor(bob)
    browser = browser_of(bob)
    notify(bob, "Hello Bob")
    privacy.delete_account(user=person)
    assert not ApiKey.objects.get(pk=his.pk).is_revoked
    assert ApiKey.objects.get(pk=his.pk).label == "of bob"
    assert browser.get("/keys/").status_code == 200
    assert Notice.objects.filter(user=bob).count() == 1
    assert AuditPii.objects.exists()  # the label of his key


def test_what_others_keep_is_erased_in_the_same_transaction(person):
    def fail(user, **sent):
        raise RuntimeError("not erased")

    signals.account_deleted.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            privacy.delete_account(user=person)
    finally:
        signals.account_deleted.disconnect(fail)
    row = User.objects.get(pk=person.pk)
    assert (row.username, row.is_active) == (f"{MARK}-name", True)
    assert Authenticator.objects.filter(user=row).exists()
    assert not ApiKey.objects.filter(owner=row, revoked_at=None).exists()  # that came before
    assert not AuditEvent.objects.filter(tag="account.deleted").exists()
    privacy.delete_account(user=row)  # once more, from where it stopped
    assert User.objects.get(pk=person.pk).username == f"deleted {person.pk}"


def test_the_only_administrator_stays(charlie, alice):
    with pytest.raises(NotAllowed):
        privacy.delete_account(user=charlie)
    charlie.refresh_from_db()
    assert charlie.is_active
    assert not AuditEvent.objects.exists()
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    privacy.delete_account(user=charlie)


def test_nobody_signs_in_as_a_deleted_account_nor_takes_its_name(person, client):
    privacy.delete_account(user=person)
    name = User.objects.get(pk=person.pk).username
    for login in (name, f"{MARK}-name"):
        client.post("/account/login/", {"login": login, "password": PASSWORD})
        assert client.get("/keys/").status_code == 302
    from accounts.forms import AccountForm

    assert "username" in AccountForm({"username": name}).errors


def test_no_key_slips_into_a_closed_account(person, add_key):
    User.objects.filter(pk=person.pk).update(is_active=False)
    before = ApiKey.objects.count()
    with pytest.raises(NotAllowed):
        add_key(person, label="late")
    assert ApiKey.objects.count() == before
