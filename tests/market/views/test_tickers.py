import gzip
import re

import pytest
from django.urls import reverse

from market.history import history
from market.hub import hub
from market.models import SavedQuotes
from market.quotes import FeedStatus, Quote, Source, decode, encode

LIVE = FeedStatus(state="live", since=0, at=0, sockets=1, wanted=1)


def row(symbol, last=100.5):
    quote = Quote(symbol, last, 99, 101, 1, 0.01, 5, 110, 90, 1_700_000_000_000, Source.LIVE)
    return encode(quote).decode()


@pytest.fixture
def filled_hub():
    """The hub of this process, emptied, with the rows given."""

    def fill(*symbols):
        hub.cache_clear()
        if symbols:
            hub().apply({symbol: row(symbol) for symbol in symbols}, LIVE, now=1.0, full=True)

    yield fill
    hub.cache_clear()


@pytest.fixture
def past():
    """The history of this process, emptied."""
    history.cache_clear()
    yield history()
    history.cache_clear()


def values(html, symbol):
    (inside,) = re.findall(rf'<tr data-symbol="{symbol}".*?</tr>', html, re.DOTALL)
    return dict(re.findall(r'data-field="([a-z-]+)" data-value="([^"]*)"', inside))


def test_the_newest_values_are_in_the_html(client, filled_hub):
    filled_hub("tBTCUSD")
    shown = values(client.get("/").content.decode(), "tBTCUSD")
    assert shown.items() >= {"last": "100.5", "bid": "99", "ask": "101", "change": "1"}.items()
    assert shown.items() >= {"change-percent": "0.01", "volume": "5", "high": "110"}.items()
    assert shown["low"] == "90"
    assert shown["age"].isdigit()


def test_state_and_mode_are_on_the_page(client, filled_hub):
    filled_hub("tBTCUSD")
    html = client.get("/").content.decode()
    assert html.count("data-feed-state=") == 1
    assert 'data-feed-state="live"' in html
    assert html.count("data-exchange=") == 1
    assert 'data-exchange="sandbox"' in html


@pytest.mark.parametrize("address", ["/", "/about/", "/tickers/tBTCUSD/curl/", "/no/such/page/"])
def test_the_mode_is_on_every_page(client, filled_hub, address):
    filled_hub("tBTCUSD")
    assert 'data-exchange="sandbox"' in client.get(address).content.decode()


@pytest.mark.django_db
def test_a_page_needs_no_query_however_many_rows(client, filled_hub, django_assert_num_queries):
    filled_hub("tBTCUSD")
    with django_assert_num_queries(0):
        client.get("/")
    filled_hub(*(f"tAA{letter}USD" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    with django_assert_num_queries(0):
        client.get("/")


@pytest.mark.django_db
def test_before_the_first_batch_the_saved_table_is_shown_as_stale(
    client, filled_hub, django_assert_num_queries
):
    filled_hub()
    rows = {"tBTCUSD": row("tBTCUSD"), "tETHUSD": row("tETHUSD")}
    SavedQuotes.objects.create(range=0, exchange="sandbox", rows=rows)
    with django_assert_num_queries(1):
        html = client.get("/").content.decode()
    assert html.count('data-source="stale"') == 2 + 1  # and the legend
    assert values(html, "tBTCUSD")["last"] == "100.5"


def test_the_blank_row_for_new_symbols_claims_no_age(client, filled_hub):
    filled_hub("tBTCUSD")
    blanks = re.findall(r"<template>(.*?)</template>", client.get("/").content.decode(), re.DOTALL)
    assert len(blanks) == 2
    for blank in blanks:
        assert 'data-field="age" data-value=""' in blank
        assert "<time>–</time>" in blank


def test_the_sandbox_says_that_its_prices_are_not_real(client, filled_hub):
    filled_hub("tBTCUSD")
    assert '</b><span class="mode-detail">: not real prices</span>' in (
        client.get("/").content.decode()
    )


@pytest.mark.django_db
def test_without_any_price_the_page_says_that_it_waits(client, filled_hub):
    filled_hub()
    html = client.get("/").content.decode()
    assert "Waiting for the first prices" in html
    assert 'data-feed-state="connecting"' in html


def test_hostile_text_from_the_exchange_or_the_address_is_only_text(client, filled_hub):
    filled_hub('t<script>alert(1)</script>:"USD')
    html = client.get("/", {"q": '"><script>', "show": "<b>", "sort": "<i>"}).content.decode()
    assert "<script>alert" not in html
    assert '"><script>' not in html


def test_the_page_is_small_on_the_wire(client, filled_hub):
    filled_hub(*(f"t{number:04}:USD" for number in range(313)))
    answer = client.get("/", headers={"accept-encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert len(answer.content) < 60_000
    assert gzip.decompress(answer.content).count(b"<tr data-symbol") == 313


def test_a_row_shows_its_rest_call_as_a_page(client):
    html = client.get("/tickers/tBTCUSD/curl/").content.decode()
    assert "curl --silent --show-error http" in html
    assert "/v2/ticker/tBTCUSD" in html


def test_a_rest_call_comes_bare_for_who_wants_plain_text(client):
    answer = client.get("/tickers/tAVAX:USD/curl/", headers={"accept": "text/plain"})
    assert answer["Content-Type"].startswith("text/plain")
    assert answer.content.decode().endswith("/v2/ticker/tAVAX:USD\n")
    assert "Accept" in answer["Vary"]


@pytest.mark.parametrize("symbol", ["nonsense", "tbtcusd", "t$(id)", "tBTCUSD;ls", "x" * 100])
def test_there_is_no_call_for_what_is_no_symbol(client, symbol):
    assert client.get(f"/tickers/{symbol}/curl/").status_code == 404


def test_names_of_all_symbols_can_be_asked_for(client, filled_hub):
    filled_hub("tBTCUST")
    names = client.get(reverse("market:symbols")).json()["symbols"]
    assert names["tBTCUST"]["label"] == "BTC/USDt"
    assert names["tBTCUST"]["curl_url"] == "/tickers/tBTCUST/curl/"


def test_past_prices_can_be_asked_for(client, past):
    past.sample([decode(row("tBTCUSD", last=5))], 1000)
    table = client.get(reverse("market:history")).json()
    assert table == {"step": 5000, "times": [1000], "prices": {"tBTCUSD": [5]}}


@pytest.mark.parametrize("address", ["/", "/tickers/symbols/", "/tickers/history/"])
def test_prices_are_never_cached(client, filled_hub, address):
    filled_hub("tBTCUSD")
    assert "no-store" in client.get(address)["Cache-Control"]


def test_pages_only_answer_reading(client):
    assert client.post("/").status_code == 405
    assert client.post("/tickers/tBTCUSD/curl/").status_code == 405


@pytest.mark.django_db
def test_only_who_is_signed_in_is_led_to_trade(client, alice, filled_hub):
    filled_hub("tBTCUSD")
    assert "Trade" not in client.get("/").content.decode()
    client.force_login(alice)
    page = client.get("/").content.decode()
    assert 'href="/orders/new/?symbol=tBTCUSD" aria-label="Trade BTC/USD"' in page
    assert '<a href="/orders/">Orders</a>' in page


@pytest.mark.django_db
def test_more_rows_need_no_more_queries_of_who_is_signed_in(
    client, alice, filled_hub, django_assert_num_queries
):
    client.force_login(alice)
    for count in (1, 26):
        filled_hub(*(f"tAA{letter}USD" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:count]))
        with django_assert_num_queries(2):
            client.get("/")
