"""What the ticker page shows, prepared so that its templates only print."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from market import display
from market.bitfinex.messages import Number
from market.listing import Listing, listing, turnover, usd_rates
from market.quotes import FeedStatus, FundingQuote, Quote, Source, decode

SOURCE_WORDS = {Source.SNAPSHOT: "snapshot", Source.LIVE: "live", Source.STALE: "stale"}
DEFAULT_SORT = "-turnover"
COLUMNS = {
    "symbol": ("Symbol", ""),
    "last": ("Last", ""),
    "frr": ("FRR", "Flash return rate, per day"),
    "change-percent": ("24h %", "Change in 24 h"),
    "change": ("24h", "Change in 24 h"),
    "bid": ("Bid", ""),
    "ask": ("Ask", ""),
    "high": ("High", "Highest in 24 h"),
    "low": ("Low", "Lowest in 24 h"),
    "volume": ("Volume", "In 24 h, in the row's own currency"),
    "turnover": ("≈ USD", "Volume in USD, at the last price"),
    "trend": ("Trend", "Last prices this server has seen, at most 24 h"),
    "age": ("Age", "Time since the exchange last sent a value of this row"),
}
LONG = 11  # letters that a column has room for at the usual size
NOT_SORTABLE = {"trend"}
TEXT_COLUMNS = {"symbol", "age"}  # ascending at the first press
BLANK_PAIR = decode('["",null,null,null,null,null,null,null,null,0,1]')
BLANK_FUNDING = decode('["f",null,null,null,null,null,null,null,null,0,1,null,null,null]')


class Wish(NamedTuple):
    """What the reader asked for in the address: `?q=btc&show=USD&sort=-last`."""

    q: str = ""
    show: str = ""
    sort: str = DEFAULT_SORT

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> "Wish":
        sort = asked.get("sort", DEFAULT_SORT)
        sortable = COLUMNS.keys() - NOT_SORTABLE
        return cls(
            q=asked.get("q", "")[:40].strip(),
            show=asked.get("show", "")[:20],
            sort=sort if sort.removeprefix("-") in sortable else DEFAULT_SORT,
        )

    @property
    def column(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    def admits(self, item: Listing) -> bool:
        if self.show == "funding" and not item.funding:
            return False
        if self.show not in {"", "funding", "favourites"} and item.quote_code != self.show:
            return False
        names = f"{item.label} {item.base}{item.quote} {item.symbol} {item.name}"
        return self.q.lower() in names.lower()


class Head(NamedTuple):
    """One column head. `order` is its `aria-sort`, `next` the sort that pressing it asks for."""

    field: str
    title: str
    hint: str
    order: str
    next: str


def heads(wish: Wish) -> list[Head]:
    made = []
    for field, (title, hint) in COLUMNS.items():
        order = ""
        following = field if field in TEXT_COLUMNS else f"-{field}"
        if field == wish.column:
            order = "descending" if wish.descending else "ascending"
            following = field if wish.descending else f"-{field}"
        made.append(Head(field, title, hint, order, "" if field in NOT_SORTABLE else following))
    return made


class Cell(NamedTuple):
    """`value` is the exact number for programs, `text` what people read."""

    field: str
    value: str
    text: str
    note: str = ""

    @property
    def long(self) -> bool:
        return len(self.text) + len(self.note) > LONG


@dataclass(frozen=True, slots=True)
class Row:
    listing: Listing
    cells: list[Cell]
    direction: str
    source: str
    seen_iso: str
    age: int
    age_text: str
    curl_url: str
    hidden: bool
    sort_key: tuple[Any, ...]


class TickerPage:
    """The whole page. `curl_url` makes the address of a symbol's REST call page."""

    blank_pair: list[Row]
    blank_funding: list[Row]

    def __init__(
        self,
        quotes: Sequence[Quote],
        status: FeedStatus | None,
        *,
        now_ms: int,
        wish: Wish,
        curl_url: Callable[[str], str],
    ) -> None:
        self.wish = wish
        self.now_ms = now_ms
        self.heads = heads(wish)
        self.state = status.state if status else "connecting"
        self.notice = display.notice(status, now_ms)
        self._curl_url = curl_url
        self._rates = usd_rates(quotes)
        rows = sorted(map(self._row, quotes), key=lambda row: row.sort_key)
        self.pairs = [row for row in rows if not row.listing.funding]
        self.funding = [row for row in rows if row.listing.funding]
        self.total = len(rows)
        self.shown = sum(not row.hidden for row in rows)
        self.pairs_shown = any(not row.hidden for row in self.pairs)
        self.funding_shown = any(not row.hidden for row in self.funding)
        self.shows = show_choices(row.listing for row in self.pairs)
        self.blank_pair = [self._row(BLANK_PAIR)]
        self.blank_funding = [self._row(BLANK_FUNDING)]

    def _row(self, quote: Quote) -> Row:
        item = listing(quote.symbol)
        turnover_usd = turnover(quote, self._rates)
        age = max(0, (self.now_ms - quote.seen) // 1000)
        return Row(
            listing=item,
            cells=cells(quote, turnover_usd),
            direction=display.direction(quote.change or quote.change_percent),
            source=SOURCE_WORDS[Source(quote.source)],
            seen_iso=datetime.fromtimestamp(quote.seen // 1000, UTC).strftime("%FT%TZ"),
            age=age,
            age_text=display.age(age),
            curl_url=self._curl_url(quote.symbol),
            hidden=not self.wish.admits(item),
            sort_key=self._sort_key(item, quote, turnover_usd),
        )

    def _sort_key(self, item: Listing, quote: Quote, turnover_usd: float | None) -> tuple[Any, ...]:
        """Paper markets last, then rows without the number, then the wish, then the name."""
        flip = -1 if self.wish.descending else 1
        column = self.wish.column
        if column == "symbol":
            return item.paper, [flip * ord(letter) for letter in item.label]
        number = sort_number(quote, turnover_usd, column)
        return item.paper, number is None, flip * (number or 0), item.label


def sort_number(quote: Quote, turnover_usd: float | None, column: str) -> Number | None:
    if column == "turnover":
        return turnover_usd
    if column == "age":
        return -quote.seen
    number: Number | None = getattr(quote, column.replace("-", "_"), None)
    return number


def cells(quote: Quote, turnover_usd: float | None) -> list[Cell]:
    if isinstance(quote, FundingQuote):
        return funding_cells(quote, turnover_usd)
    return [
        Cell("last", display.value(quote.last), display.price(quote.last)),
        *change_cells(quote, display.signed(quote.change)),
        Cell("bid", display.value(quote.bid), display.price(quote.bid)),
        Cell("ask", display.value(quote.ask), display.price(quote.ask)),
        Cell("high", display.value(quote.high), display.price(quote.high)),
        Cell("low", display.value(quote.low), display.price(quote.low)),
        *volume_cells(quote, turnover_usd),
    ]


def funding_cells(quote: FundingQuote, turnover_usd: float | None) -> list[Cell]:
    bid_days = f"{quote.bid_period}d" if quote.bid_period else ""
    ask_days = f"{quote.ask_period}d" if quote.ask_period else ""
    return [
        Cell("last", display.value(quote.last), display.rate(quote.last)),
        Cell("frr", display.value(quote.frr), display.rate(quote.frr)),
        *change_cells(quote, display.signed_rate(quote.change)),
        Cell("bid", display.value(quote.bid), display.rate(quote.bid), bid_days),
        Cell("ask", display.value(quote.ask), display.rate(quote.ask), ask_days),
        Cell("high", display.value(quote.high), display.rate(quote.high)),
        Cell("low", display.value(quote.low), display.rate(quote.low)),
        *volume_cells(quote, turnover_usd),
    ]


def change_cells(quote: Quote, change_text: str) -> tuple[Cell, Cell]:
    """The percent cell's value is the exchange's fraction, as received: 0.0123 shows as +1.23%."""
    fraction = quote.change_percent
    return (
        Cell("change-percent", display.value(fraction), display.percent(fraction)),
        Cell("change", display.value(quote.change), change_text),
    )


def volume_cells(quote: Quote, turnover_usd: float | None) -> tuple[Cell, Cell]:
    return (
        Cell("volume", display.value(quote.volume), display.amount(quote.volume)),
        Cell("turnover", display.value(turnover_usd), display.compact(turnover_usd)),
    )


def show_choices(pairs: Iterable[Listing]) -> list[tuple[str, str]]:
    """Quote currencies to filter by, the commonest first, paper ones left out."""
    counted = Counter((item.quote_code, item.quote) for item in pairs if not item.paper)
    return [choice for choice, _ in counted.most_common()]
