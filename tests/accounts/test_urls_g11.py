"""G11: at every address every role gets what the matrix says, and no address is missing in it."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import ApiKey, User
from tests.accounts.routes_roles import INTENT, MATRIX, ROLES
from tests.accounts.sessions import browser_of, give_factor
from tests.factories import make_user

PASSKEY = 987654
ARGUMENTS: dict[str, list[object]] = {
    "market:curl": ["tBTCUSD"],
    "accounts:invitation": ["no-such-token"],
    "accounts:confirm_email": ["no-such-token"],
    "mfa_edit_webauthn": [PASSKEY],
    "mfa_remove_webauthn": [PASSKEY],
    "account_reset_password_from_key": ["1", "no-such-key"],
    "market:review": [INTENT],
    "market:order": [INTENT],
    "market:order_state": [INTENT],
}
OF_A_KEY = {"key", "revoke_key", "policy", "arm_key", "check_key", "confirm_key", "disarm_key"}


def names(patterns: object = None, space: str = "") -> Iterator[str]:
    for each in patterns or get_resolver().url_patterns:  # type: ignore[attr-defined]
        if isinstance(each, URLResolver):
            inner = f"{space}{each.namespace}:" if each.namespace else space
            yield from names(each.url_patterns, inner)
        elif isinstance(each, URLPattern):
            yield f"{space}{each.name}"


def address(name: str, key: UUID) -> str:
    if name == "market:edit_order":
        return reverse(name, args=[key, 1])
    of_a_key = name.removeprefix("accounts:") in OF_A_KEY and name.startswith("accounts:")
    return reverse(name, args=[key] if of_a_key else ARGUMENTS.get(name, []))


def cell(client: Client, url: str) -> str:
    answer = client.get(url)
    where = answer.headers.get("Location", "")
    if answer.status_code != 302:
        return str(answer.status_code)
    if where == reverse("mfa_index"):
        return "enrol"
    to = {"/account/login/?": "login", "/account/confirm/?": "confirm"}
    return next((word for start, word in to.items() if where.startswith(start)), "home")


@pytest.fixture
def browsers(alice: User, bob: User, key: ApiKey) -> dict[str, Client]:
    """Each role's browser. Only Alice has a key and a passkey."""
    people = {"alice": alice, "bob": bob}
    people |= {
        "staff": make_user("sam", is_staff=True),
        "superuser": make_user("root", is_staff=True),
    }
    User.objects.filter(username="root").update(is_superuser=True)
    for user in people.values():
        give_factor(user)
    Authenticator.objects.create(
        pk=PASSKEY, user=alice, type="webauthn", data={"name": "blue", "credential": {}}
    )
    bare, staff_bare = make_user("bare"), make_user("steve", is_staff=True)
    return {
        "anon": browser_of(None),
        "bare": browser_of(bare, proof="password", factor_used=False),
        "staff_bare": browser_of(staff_bare, proof="password", factor_used=False),
        "stale": browser_of(alice, proof="mfa", age=301),
        **{role: browser_of(user, proof="mfa") for role, user in people.items()},
    }


def test_g11_every_address_stands_in_the_matrix():
    assert sorted(set(names())) == sorted(MATRIX)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.no_cover  # counting lines would take as long again
def test_g11_every_role_gets_what_the_matrix_says(role, browsers, key, intent, monkeypatch):
    from allauth.mfa.webauthn.internal import auth

    monkeypatch.setattr(auth, "get_credentials", lambda user: [])  # the passkey above is a stub
    got = {name: cell(browsers[role], address(name, key.pk)) for name in MATRIX}
    assert got == {name: cells[role] for name, cells in MATRIX.items()}


@pytest.mark.parametrize("role", ["bob", "staff", "superuser"])
@pytest.mark.parametrize("name", sorted(OF_A_KEY - {"key"}))
def test_g11_nobody_else_changes_a_key(role, name, browsers, key, alice):
    before = ApiKey.objects.filter(pk=key.pk).values().get()
    fields = {"reason": "mine now", "largest_order": "1", "day_total": "1", "price_band": "1"}
    answer = browsers[role].post(reverse(f"accounts:{name}", args=[key.pk]), fields)
    assert answer.status_code == 404
    assert ApiKey.objects.filter(pk=key.pk).values().get() == before


def test_g11_nobody_else_reads_a_key_in_lists_states_or_trail(browsers, key):
    for role in ("bob", "staff", "superuser"):
        for name in ("accounts:keys", "accounts:key_states", "accounts:trail", "accounts:leaked"):
            page = browsers[role].get(reverse(name)).content.decode()
            assert str(key.pk) not in page
            assert key.last4 not in page


def test_g11_an_account_without_a_factor_posts_nothing(browsers, key):
    for name in ("accounts:halt", "accounts:add_key"):
        assert browsers["bare"].post(reverse(name), {"reason": "x", "level": 1}).status_code == 403


@pytest.mark.parametrize("role", ["bob", "staff", "superuser", "bare"])
@pytest.mark.parametrize("name", ["market:review", "market:edit_order", "market:cancel_orders"])
def test_g11_nobody_else_moves_an_order(role, name, browsers, key, intent):
    answer = browsers[role].post(address(name, key.pk), {"one": f"{key.pk}:1", "amount": "1"})
    assert answer.status_code == (403 if role == "bare" else 404)
    intent.refresh_from_db()
    assert intent.state == "preview"


def test_g11_nobody_else_reads_an_order_in_lists(browsers, key, intent):
    for role in ("bob", "staff", "superuser"):
        for name in ("market:orders", "market:new_order", "market:wallets", "market:order_history"):
            page = browsers[role].get(f"{reverse(name)}?key={key.pk}&from={intent.pk}")
            assert str(key.pk) not in page.content.decode().partition("<main")[2]
            assert "20,000" not in page.content.decode()
