"""G16: text from the exchange or from people is text, in pages and in exports."""

import csv
import io

import pytest
from django.urls import reverse
from django.utils.html import escape

from accounts import audit
from accounts.errors import KeyRejected
from accounts.models import ApiKey
from tests.accounts.sessions import browser_of, give_factor, key_fields

PAYLOADS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>',
    "';alert(1)//", "</title><script>alert(1)</script>", "<a href=javascript:alert(1)>x</a>",
    "{{ 7*7 }}", "{% csrf_token %}", "${7*7}", "<!--", "-->", "]]>", "&lt;b&gt;", "&#60;b&#62;",
    "<iframe srcdoc='<script>alert(1)</script>'>", "<style>*{display:none}</style>",
    "<base href=//evil.example>", "<meta http-equiv=refresh content=0>", "<form action=//evil>",
    "\" autofocus onfocus=alert(1) x=\"", "javascript:alert(1)", "data:text/html,<script>",
    "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "%0d%0aSet-Cookie: a=b", "../../etc/passwd",
    "' OR 1=1 --", "{0.__class__}", "%s%s%n", "<math><mtext></form><form><mglyph><style></math>",
    "<xss id=x tabindex=1 onfocus=alert(1)>", "<script src=//evil.example/x.js></script>",
    "<template><script>alert(1)</script></template>", "<svg><script>alert(1)</script></svg>",
    "\u2028alert(1)", "<b>bold", "`alert(1)`", "\\u003cscript\\u003e",
]  # fmt: skip


@pytest.fixture
def browser(alice):
    give_factor(alice)
    return browser_of(alice, proof="mfa")


def shown_literally(page: str, payload: str) -> bool:
    return escape(payload) in page and (payload == escape(payload) or payload not in page)


@pytest.mark.parametrize("payload", PAYLOADS)
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
