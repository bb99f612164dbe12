from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from market import prices
from market.bitfinex.errors import Rejected, Unreachable
from market.bitfinex.messages import FundingTicker, Ticker
from market.models import ExchangeInfo, SavedQuotes
from market.rates import Price
from tests.market.scripted import TICKERS, ScriptedClient

SAVED = '["tBTCUSD",60000.5,60000,60001,1,0.01,5,61000,59000,1,1]'
TICKER = Ticker(50_000, 1, 50_001.5, 1, 0, 0, 50_000.5, 1, None, None)
FUNDING = FundingTicker(0, 0, 2, 1, 0, 2, 1, 0, 0, 0, 1, 0, 0)
pytestmark = pytest.mark.django_db


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> ScriptedClient:
    scripted = ScriptedClient()
    scripted.answers[TICKERS] = [{"tBTCUSD": TICKER, "fUSD": FUNDING, "tETHUSD": TICKER}]
    monkeypatch.setattr(prices, "client", lambda: scripted)
    return scripted


def save(**changed: object) -> None:
    SavedQuotes.objects.create(range=0, exchange="sandbox", rows={"tBTCUSD": SAVED})
    SavedQuotes.objects.update(**changed) if changed else None


def test_what_the_feed_saved_is_taken_as_it_is(client: ScriptedClient):
    save()
    known = prices.known_prices("tBTCUSD")
    assert known["tBTCUSD"] == Price(Decimal(60000), Decimal(60001), Decimal("60000.5"))
    assert client.asked == []


@pytest.mark.parametrize("age", [timedelta(minutes=3), timedelta(minutes=-3)])
def test_what_was_saved_long_ago_is_asked_anew(client: ScriptedClient, age: timedelta):
    save(saved_at=timezone.now() - age)
    assert prices.known_prices("tBTCUSD")["tBTCUSD"].last == Decimal("50000.5")
    assert client.paths == [TICKERS]


def test_rows_that_the_feed_does_not_vouch_for_are_asked_anew(client: ScriptedClient):
    save(rows={"tBTCUSD": SAVED.replace(",1,1]", ",1,2]")})
    assert prices.known_prices("tBTCUSD")["tBTCUSD"].last == Decimal("50000.5")


def test_prices_of_another_exchange_are_none(client: ScriptedClient):
    save(exchange="live")
    assert prices.known_prices("tBTCUSD")["tBTCUSD"].last == Decimal("50000.5")
    ExchangeInfo.objects.update(name="live tickers")
    prices.known_prices("tBTCUSD")
    assert len(client.asked) == 2


@pytest.mark.parametrize("answer", [Rejected(10020, "symbols: invalid"), {}])
def test_where_all_tickers_do_not_help_the_pairs_own_is_asked(client: ScriptedClient, answer: Any):
    client.answers[TICKERS] = [answer, {"tBTCUSD": TICKER}]
    assert prices.known_prices("tBTCUSD")["tBTCUSD"].last == Decimal("50000.5")
    assert len(client.asked) == 2


def test_one_question_serves_every_pair_and_process_for_a_while(client: ScriptedClient):
    assert prices.known_prices("tBTCUSD")["tBTCUSD"] == Price(
        Decimal(50_000), Decimal("50001.5"), Decimal("50000.5")
    )
    assert prices.known_prices("tETHUSD")["tETHUSD"].last == Decimal("50000.5")
    assert "tNOPE:USD" not in prices.known_prices("tNOPE:USD")
    assert len(client.asked) == 3  # for the pair that nobody lists, once more by its name
    ExchangeInfo.objects.update(read_at=timezone.now() - timedelta(seconds=31))
    prices.known_prices("tBTCUSD")
    assert len(client.asked) == 4


def test_a_side_without_a_price_stays_unknown(client: ScriptedClient):
    client.answers[TICKERS] = [{"tBTCUSD": Ticker(None, 0, 0, 0, 0, 0, 3, 0, None, None)}]
    assert prices.known_prices("tBTCUSD")["tBTCUSD"] == Price(None, None, Decimal(3))


def test_an_exchange_that_does_not_answer_gives_no_price(client: ScriptedClient):
    client.answers[TICKERS] = [Unreachable("ConnectTimeout")]
    with pytest.raises(Unreachable):
        prices.known_prices("tBTCUSD")
