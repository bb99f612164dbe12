from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from market import exchange_info
from market.models import ExchangeInfo

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_the_newest_value_of_a_name_is_kept():
    assert exchange_info.recall("tickers") is None
    exchange_info.keep("tickers", [1])
    exchange_info.keep("tickers", [2])
    kept = exchange_info.recall("tickers")
    assert kept is not None
    assert kept.value == [2]
    assert kept.is_younger_than(HOUR)


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_what_is_old_or_of_a_time_to_come_is_not_young(by: timedelta):
    exchange_info.keep("tickers", [1])
    ExchangeInfo.objects.update(read_at=timezone.now() - by)
    kept = exchange_info.recall("tickers")
    assert kept is not None
    assert not kept.is_younger_than(HOUR)


def test_sandbox_and_live_do_not_mix(settings: Any):
    exchange_info.keep("tickers", [1])
    settings.BFX_EXCHANGE = "live"
    assert exchange_info.recall("tickers") is None
