"""G12: staff revoke and halt; they read no secret, change no row and trade for nobody."""

import re
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import ApiKey, AuditEvent, Halt, HaltLevel, Invitation, User
from tests.accounts import fakes
from tests.accounts.sessions import browser_of, give_factor
from tests.factories import make_user

KEYS, PEOPLE = "admin:accounts_apikey_changelist", "admin:accounts_user_changelist"
PAGES = ["admin:index", "admin:halt", "admin:invite", KEYS, PEOPLE]


@pytest.fixture
def root(charlie):
    """A superuser in a session that has shown its factor, but no fresh proof: none is needed."""
    charlie.is_superuser = True
    charlie.save()
    give_factor(charlie)
    return browser_of(charlie)


def act(browser, page, action, *rows, **fields):
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return browser.post(reverse(page), {**chosen, "confirmed": "yes", **fields})


def test_staff_without_a_factor_are_not_let_in(charlie):
    """T2: Django's own and allauth's `secure_admin_login` let them in."""
    bare = browser_of(charlie, factor_used=False)
    assert {bare.get(reverse(page))["Location"] for page in PAGES} == {reverse("mfa_index")}


def test_staff_whose_session_has_not_shown_the_factor_are_asked(charlie):
    give_factor(charlie)
    browser = browser_of(charlie, factor_used=False)
    where = {browser.get(reverse(page))["Location"].split("?")[0] for page in PAGES}
    assert where == {reverse("accounts:confirm")}


def test_others_see_nothing_there(alice):
    give_factor(alice)
    browser = browser_of(alice, proof="mfa")
    assert {browser.get(reverse(page)).status_code for page in PAGES} == {404}


def test_g12_no_page_shows_a_secret(root, alice, add_key):
    name, secret = "CANARYNAME" + fakes.new_text(), "CANARYSECRET" + fakes.new_text()
    key = add_key(alice, api_key=name, api_secret=secret)
    row = ApiKey.objects.with_seal().get(pk=key.pk)
    sealed = [bytes(column or b"").hex() for column in (row.sealed_key, row.sealed_secret)]
    for page in PAGES:
        text = root.get(reverse(page)).content.decode()
        for hidden in (name, secret, "CANARY", row.fingerprint, *sealed):
            assert hidden not in text
    assert key.last4 in root.get(reverse(KEYS)).content.decode()


def test_g12_there_is_no_page_that_adds_changes_or_deletes(root, key):
    for path in ("add/", f"{key.pk}/", f"{key.pk}/change/", f"{key.pk}/delete/", "1/password/"):
        for page in (KEYS, PEOPLE):
            assert root.get(reverse(page) + path).status_code == 404
            assert root.post(reverse(page) + path, {"label": "mine"}).status_code == 404


def test_g12_no_field_of_a_key_or_an_account_can_be_posted(root, key, alice):
    models: dict[str, Any] = {KEYS: ApiKey, PEOPLE: User}
    for page, model in models.items():
        before = list(model.objects.order_by("pk").values())
        for field in model._meta.get_fields():
            names = {field.name: "1", f"form-0-{field.name}": "1", "_save": "Save"}
            root.post(reverse(page), names)
        assert list(model.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("action", ["arm", "delete_selected", "set_policy", "add_key", "signed"])
def test_g12_no_other_action_is_known(root, key, action):
    act(root, KEYS, action, key, reason="x")
    row = ApiKey.objects.get()
    assert (row.armed_until, row.is_revoked) == (None, False)


def test_g12_staff_reach_no_page_of_somebody_elses_key(root, key):
    for name in ("key", "arm_key", "policy", "revoke_key"):
        assert root.get(reverse(f"accounts:{name}", args=[key.pk])).status_code in (302, 404)


def test_an_act_asks_for_a_reason_first(root, key):
    for fields in ({}, {"reason": "  "}):
        page = act(root, KEYS, "revoke", key, **fields).content.decode()
        assert "Reason" in page
        assert not ApiKey.objects.get().is_revoked
    page = root.post(reverse(KEYS), {"action": "revoke", "_selected_action": [str(key.pk)]})
    assert b"Revoke keys" in page.content


def test_staff_revoke_and_see_what_became_of_it(root, key, charlie):
    answer = act(root, KEYS, "revoke", key, reason="seen on a paste site")
    page = root.get(answer["Location"]).content.decode()
    row = ApiKey.objects.with_seal().get()
    assert (row.revoked_by, row.revoked_reason) == (charlie, "seen on a paste site")
    assert row.sealed_secret is None
    assert "Revoked: main" in page
    assert AuditEvent.objects.get(tag="key.revoked").actor == charlie.pk


def test_all_keys_of_a_person_are_revoked_through_one_of_them(root, alice, bob, add_key):
    mine, other, his = add_key(alice), add_key(alice), add_key(bob)
    act(root, KEYS, "revoke_all_of_owner", mine, reason="left us")
    revoked = set(ApiKey.objects.exclude(revoked_at=None).values_list("pk", flat=True))
    assert revoked == {mine.pk, other.pk}
    assert his.pk not in revoked


def test_one_key_or_one_person_is_halted(root, alice, bob, add_key):
    mine, other, his = add_key(alice), add_key(alice), add_key(bob)
    act(root, KEYS, "halt", his, reason="test", level="2")
    act(root, KEYS, "halt_owner", mine, reason="test", level="1")
    levels = dict(ApiKey.objects.values_list("pk", "halt"))
    assert levels == {mine.pk: 1, other.pk: 1, his.pk: 2}


def test_the_site_is_halted_and_released(root, key):
    url = reverse("admin:halt")
    assert root.post(url, {"level": "2", "reason": ""}).status_code == 200
    assert not Halt.objects.filter(level__gt=0).exists()
    page = root.post(url, {"level": "2", "reason": "a leak"}, follow=True).content.decode()
    assert ApiKey.objects.get().halt == HaltLevel.SIGNING
    assert "a leak" in page
    root.post(url, {"level": "0", "reason": "mended"})
    assert ApiKey.objects.get().halt == HaltLevel.NONE


def test_people_are_deactivated_and_reactivated(root, alice):
    act(root, PEOPLE, "deactivate", alice, reason="left us")
    assert not User.objects.get(pk=alice.pk).is_active
    act(root, PEOPLE, "reactivate", alice, reason="back")
    assert User.objects.get(pk=alice.pk).is_active


def test_nobody_deactivates_himself(root, charlie):
    page = root.get(act(root, PEOPLE, "deactivate", charlie, reason="x")["Location"])
    assert User.objects.get(pk=charlie.pk).is_active
    assert b'data-level="error"' in page.content


def test_making_staff_needs_a_fresh_proof_and_ending_it_does_not(root, charlie, alice):
    answer = act(root, PEOPLE, "make_staff", alice, reason="helps")
    assert (answer.status_code, User.objects.get(pk=alice.pk).is_staff) == (403, False)
    fresh = browser_of(charlie, proof="mfa")
    page = fresh.get(act(fresh, PEOPLE, "make_staff", alice, reason="helps")["Location"])
    assert b"Staff now: alice" in page.content
    assert User.objects.get(pk=alice.pk).is_staff
    act(root, PEOPLE, "end_staff", alice, reason="left")
    assert not User.objects.get(pk=alice.pk).is_staff
    act(root, PEOPLE, "end_staff", charlie, reason="tired")
    assert User.objects.get(pk=charlie.pk).is_staff


def test_staff_invite_by_a_link_that_is_shown_once(root):
    assert root.get(reverse("admin:invite")).status_code == 200
    assert not Invitation.objects.exists()
    page = root.post(reverse("admin:invite")).content.decode()
    assert re.search(r"http://testserver/invitation/[^/\s]+/", page)
    assert Invitation.objects.count() == 1


def test_the_panel_loads_no_script_but_the_pages_own(root, key):
    for page in PAGES:
        text = root.get(reverse(page)).content.decode()
        scripts = set(re.findall(r'<script[^>]* src="([^"]+)"', text))
        assert scripts == {"/static/js/theme.js", "/static/js/page.js"}
        assert "/static/admin/" not in text
        assert not re.findall(r"<script(?![^>]*src=)|<style| style=| on[a-z]+=", text)


def test_the_list_of_keys_asks_as_often_for_many_as_for_one(
    root, alice, add_key, django_assert_max_num_queries
):
    for _ in range(6):
        add_key(make_user(f"user{_}"))
    root.get(reverse(KEYS))
    with django_assert_max_num_queries(10):
        root.get(reverse(KEYS))
