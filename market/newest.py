"""The table a page starts with: the hub's, or what was saved, as long as no batch has come."""

from collections.abc import Sequence

from market.conf import exchange
from market.hub import hub
from market.models import SavedQuotes
from market.quotes import Quote, QuoteBook, decode


def saved_rows() -> dict[str, str]:
    """The table saved last, encoded, every row marked stale. Reads the database."""
    book = QuoteBook()
    for table in SavedQuotes.objects.filter(exchange=exchange().mode).order_by("range"):
        book.load(table.rows)
    return book.take_all()


def newest_quotes() -> Sequence[Quote]:
    """Every quote this process knows of. Reads the database only before the first batch."""
    return hub().rows() or [decode(row) for row in saved_rows().values()]
