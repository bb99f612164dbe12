"""G15: other sites cannot act here, and nothing happens by following a link."""

import re

import pytest
from django.apps import apps
from django.urls import reverse

from bfxdash.edge import exact_origin
from tests.accounts.routes_roles import MATRIX
from tests.accounts.sessions import browser_of, give_factor
from tests.accounts.test_urls_g11 import address

NOT_COUNTED = {"Session", "UserSession", "LogEntry", "Notice", "RateWindow"}
NONCES = ("last_nonce", "send_at", "gap", "bump", "bumped_at")  # a signed question uses one up
REDIRECTS = [
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
    "http:evil.example", "https:/evil.example", "javascript:alert(1)", "data:text/html,x",
    "//evil.example\\@localhost", " //evil.example", "\t//evil.example", "https://localhost@evil.example",
    "ftp://evil.example", "evil.example", "%2f%2fevil.example", "//%09/evil.example", "http://",
    "//localhost:1@evil.example", "\x00//evil.example",
]  # fmt: skip
ORIGINS = {
    "http://localhost:8000": True,
    "http://127.0.0.1:8000": True,
    "http://localhost": False,
    "https://localhost:8000": False,
    "http://localhost:8001": False,
    "ftp://localhost:8000": False,
    "http://localhost:8000/": False,
    "http://localhost:8000.evil.example": False,
    "http://evil.example": False,
    "http://user@localhost:8000": False,
    "http://LOCALHOST:8000": False,
    "null": False,
    "": False,
    "http://[::1]:8000": False,
    "http://localhost:80000": False,
}


def unsafe_fields(name: str) -> dict[str, str]:
    return {"reason": "x", "level": "2", "username": "x", "password": "y", "login": "alice"}


@pytest.mark.parametrize("name", sorted(MATRIX))
@pytest.mark.no_cover  # counting lines would take as long again
def test_g15_no_address_takes_a_post_without_the_token(name, alice, key, intent):
    give_factor(alice)
    alice.is_staff = True
    alice.save()
    browser = browser_of(alice, proof="mfa", csrf=True)
    before = rows()
    answer = browser.post(address(name, key.pk), unsafe_fields(name))
    assert answer.status_code in (403, 405)
    assert rows() == before


def rows() -> dict[str, list[dict[str, object]]]:
    """Everything that is stored, but for sessions, what was shown, and the trail of reading: slots
    and nonces of questions to the exchange too."""
    found = {}
    for model in apps.get_models():
        if model.__name__ not in NOT_COUNTED:
            found[model.__name__] = list(model._default_manager.order_by("pk").values())
    for row in found["User"]:
        row.pop("last_login")
    for row in found["ApiKey"]:
        for name in NONCES:
            row.pop(name)
    return found


QUIET = {
    "accounts:data",  # an export leaves its event
    "accounts:trail_csv",
    "accounts:trail_jsonl",
    "mfa_view_recovery_codes",  # they are shown once: a page may show them, a link only to it
}


@pytest.mark.parametrize("name", sorted(set(MATRIX) - QUIET))
@pytest.mark.no_cover  # counting lines would take as long again
def test_g15_nothing_changes_by_a_get(name, alice, key, intent, client):
    give_factor(alice)
    alice.is_staff = True
    alice.save()
    browser = browser_of(alice, proof="mfa")
    before = rows()
    browser.get(address(name, key.pk))
    assert rows() == before


@pytest.mark.parametrize("payload", REDIRECTS)
@pytest.mark.parametrize("name", ["accounts:confirm", "account_login"])
def test_g15_no_link_leads_elsewhere(name, payload, alice, client):
    fields = {"login": "alice", "password": "tests-only-pass-phrase", "next": payload}
    browser = client if name == "account_login" else browser_of(alice, factor_used=False)
    answer = browser.post(reverse(name), fields)
    assert answer.status_code == 302, answer.content
    assert re.match(r"/(?![/\\])", answer["Location"]), answer["Location"]
    assert "evil" not in answer["Location"]


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS.items())
async def test_g15_a_socket_opens_for_our_own_pages_alone(origin, allowed):
    """T7."""
    reached = []

    async def inside(scope, receive, send):
        reached.append(scope)

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        pass

    guarded = exact_origin(inside, ["http://localhost:8000", "http://127.0.0.1:8000"])
    headers = [(b"origin", origin.encode())] if origin else []
    await guarded({"type": "websocket", "headers": headers}, receive, send)
    assert bool(reached) == allowed


def test_g15_pages_are_not_framed_and_not_shared(alice):
    give_factor(alice)
    answer = browser_of(alice).get(
        reverse("accounts:keys"), headers={"Origin": "https://evil.example"}
    )
    assert answer["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_g15_a_form_cannot_pretend_to_be_another_method(alice, key):
    give_factor(alice)
    browser = browser_of(alice)
    url = reverse("accounts:disarm_key", args=[key.pk])
    assert browser.get(url, {"_method": "POST"}).status_code == 405
    assert browser.put(url, headers={"X-HTTP-Method-Override": "POST"}).status_code == 405
