from decimal import Decimal

import pytest

from market.hub import hub
from market.quotes import FeedStatus, Quote, Source, encode
from market.views.price_seen import price_seen, true_age

NOW = 1_700_000_100.0


def quote(age, source, last=40_000.5):
    seen = int((NOW - age) * 1000)
    return Quote("tBTCUSD", last, 1, 2, 0, 0, 0, 0, 0, seen, source)


def status(state):
    return FeedStatus(state=state, since=0, at=0)


@pytest.mark.parametrize(
    ("age", "source", "state", "known"),
    [
        (3, Source.LIVE, "live", True),
        (90, Source.LIVE, "live", True),  # nothing has changed, but its heart beats
        (90, Source.LIVE, "offline", False),
        (90, Source.LIVE, "stale", False),
        (3, Source.LIVE, "offline", True),
        (3, Source.SNAPSHOT, "live", True),
        (36, Source.SNAPSHOT, "live", False),
        (3, Source.STALE, "live", False),
    ],
)
def test_a_price_is_unknown_when_its_source_is_silent(age, source, state, known):
    found = true_age(quote(age, source), status(state), NOW)
    assert found == (pytest.approx(age, abs=0.01) if known else None)


def test_a_row_without_a_price_is_unknown():
    assert true_age(quote(1, Source.LIVE, last=None), status("live"), NOW) is None


@pytest.mark.django_db
def test_the_price_of_the_page_is_the_hub_s():
    hub.cache_clear()
    row = encode(quote(5, Source.LIVE)).decode()
    hub().apply({"tBTCUSD": row}, status("live"), now=1.0, full=True)
    seen = price_seen("tBTCUSD", NOW)
    assert seen.last == Decimal("40000.5")
    assert seen.age == pytest.approx(5, abs=0.01)
    missing = price_seen("tNOPEUSD", NOW)
    assert (missing.last, missing.age) == (None, None)
    assert "tBTCUSD" in missing.all
    hub.cache_clear()
