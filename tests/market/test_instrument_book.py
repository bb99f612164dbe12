from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from market import client
from market.background import background
from market.instrument_book import NAME, Found, Turn, find_instrument, refresh, turn
from market.instruments import Instrument
from market.models import ExchangeInfo

SYMBOL = "tBTCUSD"


@pytest.fixture(autouse=True)
def nobody_asked_yet():
    turn.cache_clear()
    yield
    turn.cache_clear()


@pytest.fixture
def sandbox(exchange_server, settings, transactional_db):
    settings.BFX_PUBLIC_REST_URL = settings.BFX_REST_URL = exchange_server.url
    client.client.cache_clear()
    yield exchange_server
    client.client.cache_clear()


def store(age=timedelta(0), **rows):
    at = timezone.now() - age
    ExchangeInfo.objects.update_or_create(
        name=f"sandbox {NAME}", defaults={"value": rows, "read_at": at}
    )


def test_the_configuration_is_read_without_making_anybody_wait(sandbox):
    assert find_instrument(SYMBOL) == Found(False)
    assert background().drain(10) == 0
    found = find_instrument(SYMBOL)
    assert found.instrument
    assert found.instrument.smallest
    assert found.instrument.smallest > 0
    assert "exchange" in found.instrument.kinds
    assert find_instrument("tGONEUSD") == Found(True, None)
    asked = sandbox.counters()["requests"]
    assert sum(count for name, count in asked.items() if "conf" in name) == 1, asked


def test_an_exchange_that_is_away_changes_nothing(sandbox):
    store(tBTCUSD=[["exchange"], "0.1", None])
    sandbox.stop()
    refresh()
    pair = Instrument(SYMBOL, frozenset({"exchange"}), Decimal("0.1"))
    assert find_instrument(SYMBOL) == Found(True, pair)


@pytest.mark.django_db
def test_what_is_older_than_a_day_counts_as_unknown():
    turn().take(1e9)
    store(timedelta(hours=25), tBTCUSD=[["exchange"], "0.1", None])
    assert find_instrument(SYMBOL) == Found(False)
    store(timedelta(hours=23), tBTCUSD=[["exchange"], "0.1", None])
    assert find_instrument(SYMBOL).is_known


def test_after_a_try_a_process_waits_for_a_minute():
    mine = Turn()
    assert mine.take(100.0)
    assert not mine.take(159.0)
    assert mine.take(160.0)
