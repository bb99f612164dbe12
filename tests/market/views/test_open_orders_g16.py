"""G16: what the exchange writes about an order is shown as it wrote it, and quoted in a file."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from django.utils import timezone

from market.models import OrderIntent, OrderState
from tests.accounts.payloads import PAYLOADS

CREATED = 1_790_000_000_000
GOOD = "ACTIVE"


def row(number, *, symbol="tBTCUSD", kind="EXCHANGE LIMIT", status=GOOD):
    """An order as the exchange sends it."""
    return [
        number, None, number, symbol, CREATED, CREATED, "0.5", "0.5", kind, None, None, None, 0,
        status, None, None, "20000", "0", "0", "0", None, None, None, 0, 0, None, None, None,
        "API>BFX", None, None, {},
    ]  # fmt: skip


def hostile_rows():
    """Every text in every place for a text."""
    rows = [row(1)]
    for text in PAYLOADS:
        for place in ("symbol", "kind", "status"):
            rows.append(row(len(rows) + 1, **{place: text}))
    return rows


class Read(HTMLParser):
    """The elements of a page, each with its attributes' names, and its text."""

    def __init__(self, page):
        super().__init__()
        self.kinds: set[tuple[str, ...]] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.kinds.add((tag, *sorted(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


def read(browser, address):
    answer = browser.get(address)
    assert answer.status_code == 200
    return Read(answer.content.decode())


@pytest.mark.parametrize("path", ["/orders/", "/orders/history/"])
def test_g16_an_order_of_the_exchange_is_text(alice_browser, desk, path):
    address = f"{path}?key={desk.key.pk}"

    def answer(rows):
        desk.exchange.fault(kind="body", body=json.dumps(rows), endpoint="auth/r/orders")
        return read(alice_browser, address)

    harmless = answer([row(1), row(2, kind="MARKET", status="CANCELED")])
    found = answer(hostile_rows())
    missing = [text for text in PAYLOADS if text not in found.text]
    assert missing == []
    assert found.kinds - harmless.kinds <= {("small",)}


def test_g16_the_words_of_an_outcome_are_text(alice_browser, desk):
    intent = desk.place()
    now = timezone.now()
    known = {"key": intent.key, "owner": intent.owner, "symbol": intent.symbol}
    known |= {"order_text": intent.order_text, "value_micros": 1, "settled_at": now}
    states = (OrderState.REJECTED, OrderState.ACCEPTED)
    harmless = read(alice_browser, "/orders/")
    for text in filter(lambda text: "\0" not in text, PAYLOADS):  # PostgreSQL stores none
        OrderIntent.objects.all().delete()
        made = [
            OrderIntent.objects.create(state=s, reason=text, status=text, created_at=now, **known)
            for s in states
        ]
        for page in (f"/orders/{made[0].pk}/", f"/orders/{made[1].pk}/", "/orders/"):
            assert text in read(alice_browser, page).text, text
    found = read(alice_browser, "/orders/")
    assert {kind[0] for kind in found.kinds} <= {kind[0] for kind in harmless.kinds}


def test_g16_a_file_of_orders_holds_no_formula(alice_browser, desk):
    body = json.dumps(hostile_rows())
    desk.exchange.fault(kind="body", body=body, endpoint="auth/r/orders")
    answer = alice_browser.get(f"/orders/history.csv?key={desk.key.pk}")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    assert len(rows) == len(hostile_rows())
    for name in ("symbol", "type", "status"):
        assert [each[name] for each in rows if each[name].startswith(("=", "+", "-", "@"))] == []
