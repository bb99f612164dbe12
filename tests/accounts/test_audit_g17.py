"""G17: every address that does something leaves an event, and every kind of event is left by some
act. A new address, or a new kind, fails here until it says which.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts import addresses, audit, invitations, keys, nonces, people, restore_guard, rotation
from accounts.audit import Tag
from accounts.errors import AccountsError, KeyRejected
from accounts.models import ApiKey, AuditEvent, Epoch, KeyState, User
from accounts.signer import signed
from tests.accounts.fakes import FakeExchange
from tests.accounts.routes_roles import MATRIX
from tests.accounts.sessions import PASSWORD, browser_of, code_of, give_factor, key_fields
from tests.accounts.test_urls_g11 import address

NEW_PASSWORD = {"password1": "another long phrase", "password2": "another long phrase"}
LIMITS = {"largest_order": "250", "day_total": "1000", "price_band": "5"}


@dataclass
class World:
    """Alice has a key and a proof; Charlie is staff. Each act takes what it needs of them."""

    alice: User
    charlie: User
    seed: str
    key: ApiKey
    exchange: FakeExchange
    mails: list[Any]

    @property
    def browser(self) -> Client:
        return browser_of(self.alice, proof="mfa")

    @property
    def panel(self) -> Client:
        return browser_of(self.charlie, proof="mfa")

    def post(self, name: str, **fields: object) -> Any:
        return self.browser.post(address(name, self.key.pk), fields)

    def choose(self, page: str, action: str, row: Any, **fields: object) -> None:
        chosen = {"action": action, "_selected_action": [str(row.pk)], "confirmed": "yes"}
        url = reverse(f"admin:accounts_{page}_changelist")
        self.panel.post(url, {**chosen, "reason": "test", **fields})


@pytest.fixture
def world(alice, charlie, key, exchange, mailoutbox, settings) -> World:
    settings.EMAIL_ON = True
    cache.clear()
    alice.email = "alice@example.org"
    alice.save()
    give_factor(charlie)
    return World(alice, charlie, give_factor(alice), key, exchange, mailoutbox)


def add_app(world: World) -> None:
    from allauth.mfa.utils import decrypt

    Authenticator.objects.filter(user=world.alice).delete()
    browser = browser_of(world.alice, proof="password", factor_used=False)
    browser.get(reverse("mfa_activate_totp"))
    code = code_of(decrypt(browser.session["mfa.totp.secret"]))
    browser.post(reverse("mfa_activate_totp"), {"code": code})


def remove_passkey(world: World) -> None:
    blue = {"name": "blue", "credential": {}}
    row = Authenticator.objects.create(user=world.alice, type="webauthn", data=blue)
    world.browser.post(reverse("mfa_remove_webauthn", args=[row.pk]))


def second_step(world: World) -> None:
    client = Client()
    client.post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
    client.post(reverse("mfa_authenticate"), {"code": code_of(world.seed)})


def end_sessions(world: World) -> None:
    _other = world.browser
    world.post("usersessions_list")


def reset_password(world: World) -> None:
    client = Client()
    client.post(reverse("account_reset_password"), {"email": world.alice.email})
    link = next(w for w in world.mails[-1].body.split() if "/password/reset/" in w)
    form = client.get(link.removeprefix("http://testserver"), follow=True)
    client.post(form.request["PATH_INFO"], NEW_PASSWORD)


def confirm_key(world: World) -> None:
    ApiKey.objects.update(state=KeyState.QUARANTINED)
    world.post("accounts:confirm_key")


def check_grown_key(world: World) -> None:
    world.exchange.rows = [*world.exchange.rows, ("positions", 1, 0)]
    world.post("accounts:check_key")


def confirm_email(world: World) -> None:
    token = addresses.token(world.alice, "new@example.org")
    world.browser.post(reverse("accounts:confirm_email", args=[token]))


def invitation(world: World) -> None:
    link = reverse("accounts:invitation", args=[invitations.invite(by=world.charlie)])
    names = {"username": "dora", "password1": "a long pass phrase"}
    Client().post(link, {**names, "password2": "a long pass phrase"})


PAGES: dict[str, tuple[Tag, Callable[[World], object]]] = {
    "account_login": (
        Tag.LOGIN_FAILED,
        lambda w: Client().post(reverse("account_login"), {"login": "alice", "password": "wrong"}),
    ),
    "mfa_authenticate": (Tag.LOGGED_IN, second_step),
    "account_logout": (Tag.LOGGED_OUT, lambda w: w.post("account_logout")),
    "account_change_password": (
        Tag.PASSWORD_CHANGED,
        lambda w: w.post("account_change_password", oldpassword=PASSWORD, **NEW_PASSWORD),
    ),
    "account_reset_password_from_key": (Tag.PASSWORD_RESET, reset_password),
    "usersessions_list": (Tag.SESSIONS_ENDED, end_sessions),
    "mfa_activate_totp": (Tag.FACTOR_ADDED, add_app),
    "mfa_deactivate_totp": (Tag.FACTOR_REMOVED, lambda w: w.post("mfa_deactivate_totp")),
    "mfa_generate_recovery_codes": (
        Tag.FACTOR_ADDED,
        lambda w: w.post("mfa_generate_recovery_codes"),
    ),
    "mfa_remove_webauthn": (Tag.FACTOR_REMOVED, remove_passkey),
    "accounts:invitation": (Tag.ACCOUNT_MADE, invitation),
    "accounts:confirm": (
        Tag.PROVED,
        lambda w: w.post("accounts:confirm", code=code_of(w.seed)),
    ),
    "accounts:email": (Tag.EMAIL_CHANGED, lambda w: w.post("accounts:email", email="")),
    "accounts:confirm_email": (Tag.EMAIL_CHANGED, confirm_email),
    "accounts:delete": (
        Tag.ACCOUNT_DELETED,
        lambda w: w.post("accounts:delete", username="alice"),
    ),
    "accounts:add_key": (Tag.KEY_ADDED, lambda w: w.post("accounts:add_key", **key_fields())),
    "accounts:halt": (Tag.HALTED, lambda w: w.post("accounts:halt", level="1", reason="test")),
    "accounts:policy": (Tag.KEY_POLICY, lambda w: w.post("accounts:policy", **LIMITS)),
    "accounts:arm_key": (Tag.KEY_ARMED, lambda w: w.post("accounts:arm_key")),
    "accounts:check_key": (Tag.KEY_PERMISSIONS, check_grown_key),
    "accounts:confirm_key": (Tag.KEY_CONFIRMED, confirm_key),
    "accounts:disarm_key": (Tag.KEY_DISARMED, lambda w: w.post("accounts:disarm_key")),
    "accounts:revoke_key": (
        Tag.KEY_REVOKED,
        lambda w: w.post("accounts:revoke_key", reason="test"),
    ),
    "admin:halt": (
        Tag.HALTED,
        lambda w: w.panel.post(reverse("admin:halt"), {"level": "1", "reason": "test"}),
    ),
    "admin:invite": (Tag.INVITED, lambda w: w.panel.post(reverse("admin:invite"))),
    "admin:accounts_apikey_changelist": (
        Tag.KEY_REVOKED,
        lambda w: w.choose("apikey", "revoke", w.key),
    ),
    "admin:accounts_user_changelist": (
        Tag.ACCOUNT_CLOSED,
        lambda w: w.choose("user", "deactivate", w.alice),
    ),
    # These answer with a file.
    "accounts:data": (Tag.DATA_EXPORTED, lambda w: w.browser.get(reverse("accounts:data"))),
    "accounts:trail_csv": (Tag.EXPORTED, lambda w: w.browser.get(reverse("accounts:trail_csv"))),
    "accounts:trail_jsonl": (
        Tag.EXPORTED,
        lambda w: w.browser.get(reverse("accounts:trail_jsonl")),
    ),
}
WITHOUT_EVENT = {
    "account_signup": "sign-up is closed",
    "account_reset_password": "mails a link: what it leads to leaves the event",
    "mfa_add_webauthn": "needs an authenticator: tests/browser/test_accounts.py looks at its event",
    "mfa_login_webauthn": "needs an authenticator: tests/browser/test_accounts.py too",
    "mfa_edit_webauthn": "the name of a passkey",
    "mfa_view_recovery_codes": "shows once what has left its event when it was made",
    "mfa_list_webauthn": "a list",
    "mfa_index": "a list",
    "admin:index": "a list",
}


def break_seal(world: World) -> None:
    ApiKey.objects.update(policy_text='{"day_total":"1"}')
    with suppress(AccountsError):
        signed(world.key, "/v2/auth/r/wallets", b"{}")


def refuse_nonces(world: World) -> None:
    for turn in range(3):
        granted = nonces.grant(world.key, "read", now=2_000_000_000_000_000 + turn * 1_000_000)
        nonces.refused(world.key.pk, granted.nonce)


def refuse_new_key(world: World) -> None:
    world.exchange.problem = KeyRejected(10100, "apikey: invalid")
    world.post("accounts:add_key", **key_fields())


def reject_key(world: World) -> None:
    world.exchange.problem = KeyRejected(10100, "apikey: invalid")
    keys.check_key(key=world.key)


def restore(world: World) -> None:
    restore_guard.advance()
    restore_guard.advance()
    Epoch.objects.update(number=0)
    restore_guard.guard()


OTHER_ACTS: dict[Tag, Callable[[World], object]] = {
    Tag.KEY_VERIFIED: PAGES["accounts:add_key"][1],
    Tag.KEY_REFUSED: refuse_new_key,
    Tag.KEY_REJECTED: reject_key,
    Tag.KEY_BROKEN: break_seal,
    Tag.KEY_SHARED: refuse_nonces,
    Tag.ROTATION: lambda w: rotation.new(),
    Tag.BACKED_UP: lambda w: restore_guard.note_backup("/somewhere"),
    Tag.RESTORED: restore,
    Tag.ACCOUNT_OPENED: lambda w: w.choose("user", "reactivate", w.alice),
    Tag.STAFF_MADE: lambda w: w.choose("user", "make_staff", w.alice),
    Tag.STAFF_ENDED: lambda w: w.choose("user", "end_staff", w.alice),
    Tag.FACTORS_RESET: lambda w: people.reset_factors(user=w.alice, by=None, reason="test"),
}


def left(world: World, act: Callable[[World], object]) -> set[str]:
    before = AuditEvent.objects.count()
    act(world)
    return set(AuditEvent.objects.order_by("seq").values_list("tag", flat=True)[before:])


@pytest.mark.parametrize("name", PAGES)
def test_g17_every_page_that_acts_leaves_its_event(world, name):
    tag, act = PAGES[name]
    assert tag.value in left(world, act)
    assert audit.verify().broken is None


@pytest.mark.parametrize("tag", OTHER_ACTS)
def test_g17_every_other_act_leaves_its_event(world, tag):
    assert tag.value in left(world, OTHER_ACTS[tag])
    assert audit.verify().broken is None


def fail(*args: object, **kwargs: object) -> None:
    raise RuntimeError("the event cannot be written")


@pytest.mark.parametrize(
    "name", ["account_change_password", "mfa_activate_totp", "mfa_deactivate_totp",
             "mfa_generate_recovery_codes", "accounts:email", "accounts:delete"],
)  # fmt: skip
def test_g17_no_act_without_its_event(world, name, monkeypatch):
    """Those of keys: test_keys, test_halts."""

    def state() -> object:
        columns = ("password", "email", "is_active", "username")
        factors = Authenticator.objects.order_by("pk").values_list("type", "data")
        return list(User.objects.order_by("pk").values(*columns)), list(factors)

    if name == "mfa_activate_totp":
        Authenticator.objects.filter(user=world.alice).delete()
    browser, before = world.browser, state()
    monkeypatch.setattr(audit, "record", fail)
    monkeypatch.setattr(World, "browser", browser)
    with suppress(RuntimeError):
        PAGES[name][1](world)
    assert state() == before


def test_g17_no_page_acts_unlisted(world, monkeypatch):
    """Whatever takes a POST in this app stands above."""
    from allauth.mfa.webauthn.internal import auth

    monkeypatch.setattr(auth, "get_credentials", lambda user: [])
    own = [name for name in MATRIX if not name.startswith("market:")]
    takes = {
        name
        for name in own
        for browser in (world.browser, world.panel, Client())
        if browser.post(address(name, world.key.pk)).status_code in (200, 302, 429)
    }
    assert takes - PAGES.keys() - WITHOUT_EVENT.keys() == set()
    assert PAGES.keys() | WITHOUT_EVENT.keys() <= set(own)


def test_g17_every_kind_of_event_is_left_by_some_act():
    """Those of orders are left, and looked for, in the tests of the market."""
    here = {tag for tag, _ in PAGES.values()} | OTHER_ACTS.keys()
    files = (Path(__file__).parents[1] / "market").rglob("test_*.py")
    there = "\n".join(file.read_text() for file in files)
    unseen = [
        tag
        for tag in Tag
        if tag not in here and not re.search(rf'Tag\.{tag.name}\b|"{re.escape(tag.value)}"', there)
    ]
    assert unseen == []
