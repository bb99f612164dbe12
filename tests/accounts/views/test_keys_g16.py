"""G16: text from the exchange or from people is text, in pages and in exports."""

import csv
import io

import pytest
from django.urls import reverse
from django.utils.html import escape

from accounts import audit
from accounts.errors import KeyRejected
from accounts.models import ApiKey
from tests.accounts.payloads import PAYLOADS
from tests.accounts.sessions import browser_of, give_factor, key_fields


@pytest.fixture
def browser(alice):
    give_factor(alice)
    return browser_of(alice, proof="mfa")


def shown_literally(page: str, payload: str) -> bool:
    return escape(payload) in page and (payload == escape(payload) or payload not in page)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.no_cover  # counting lines would take as long again
def test_g16_text_is_shown_literally(browser, alice, add_key, exchange, charlie, payload):
    ApiKey.objects.filter(pk=add_key(alice).pk).update(label=payload, scopes={payload: ["write"]})
    assert shown_literally(browser.get(reverse("accounts:keys")).content.decode(), payload)
    key = ApiKey.objects.get()
    detail = browser.get(reverse("accounts:key", args=[key.pk])).content.decode()
    assert shown_literally(detail, payload)
    exchange.problem = KeyRejected(10100, payload)
    refused = browser.post(reverse("accounts:add_key"), key_fields()).content.decode()
    assert shown_literally(refused, payload)
    give_factor(charlie)
    panel = browser_of(charlie).get(reverse("admin:accounts_apikey_changelist")).content.decode()
    assert shown_literally(panel, payload)


def test_g16_no_cell_of_an_export_is_a_formula(browser, alice, add_key):
    add_key(alice)
    for text in ("=1+1", "+1", "-1", "@a", "\tx"):
        audit_cell = audit._cell(text)
        assert str(audit_cell).startswith("'")
    out = browser.get(reverse("accounts:trail_csv")).content.decode()
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == list(audit.COLUMNS)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
