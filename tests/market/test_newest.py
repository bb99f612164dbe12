import pytest

from market.hub import hub
from market.models import SavedQuotes
from market.newest import newest_quotes, saved_rows
from market.quotes import FeedStatus, Source, decode
from tests.market.test_hub import rows


@pytest.fixture(autouse=True)
def fresh_hub():
    hub.cache_clear()
    yield
    hub.cache_clear()


@pytest.mark.django_db
def test_before_the_first_batch_the_saved_table_is_shown_as_stale():
    SavedQuotes.objects.create(range=0, exchange="sandbox", rows=rows(tA=1))
    SavedQuotes.objects.create(range=1, exchange="sandbox", rows=rows(tB=2))
    assert [(quote.symbol, quote.source) for quote in newest_quotes()] == [
        ("tA", Source.STALE),
        ("tB", Source.STALE),
    ]


@pytest.mark.django_db
def test_saved_rows_keep_their_values_and_age():
    SavedQuotes.objects.create(range=0, exchange="sandbox", rows=rows(tA=1.25))
    quote = decode(saved_rows()["tA"])
    assert (quote.last, quote.seen) == (1.25, 1000)


def test_after_the_first_batch_the_database_is_not_read():
    hub().apply(rows(tA=7), FeedStatus(state="live", since=1, at=1), 0.0)
    assert [quote.last for quote in newest_quotes()] == [7]


@pytest.mark.django_db
def test_what_another_exchange_said_is_not_shown():
    """Fake prices never stand in for real ones."""
    SavedQuotes.objects.create(range=0, exchange="live", rows=rows(tA=1))
    assert saved_rows() == {}
