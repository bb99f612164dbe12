"""What the ticker page shows, prepared so that its templates only print."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict

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
    """`value` is the exact number for programs, `text` what people read; `size` is "long" where
    the text needs the smaller type.
    """

    field: str
    value: str
    text: str
    note: str
    size: str


def cell(field: str, number: Number | None, text: str, note: str = "") -> Cell:
    size = "long" if len(text) + len(note) > LONG else ""
    return Cell(field, display.value(number), text, note, size)


class Row(TypedDict):
    """One row; a dict, since templates look into nothing else as fast. Names as in `Listing`."""

    symbol: str
    base: str
    quote: str
    base_code: str
    quote_code: str
    name: str
    label: str
    paper: bool
    funding: bool
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
        self.notice = display.notice(status, now_ms, rows=len(quotes))
        self._curl_url = curl_url
        self._rates = usd_rates(quotes)
        rows = sorted(map(self._row, quotes), key=lambda row: row["sort_key"])
        self.pairs = [row for row in rows if not row["funding"]]
        self.funding = [row for row in rows if row["funding"]]
        self.total = len(rows)
        self.shown = sum(not row["hidden"] for row in rows)
        self.pairs_shown = any(not row["hidden"] for row in self.pairs)
        self.funding_shown = any(not row["hidden"] for row in self.funding)
        self.shows = show_choices(self.pairs)
        self.blank_pair = [self._row(BLANK_PAIR)]
        self.blank_funding = [self._row(BLANK_FUNDING)]

    def _row(self, quote: Quote) -> Row:
        item = listing(quote.symbol)
        turnover_usd = turnover(quote, self._rates)
        age = max(0, (self.now_ms - quote.seen) // 1000)
        return {
            "symbol": item.symbol,
            "base": item.base,
            "quote": item.quote,
            "base_code": item.base_code,
            "quote_code": item.quote_code,
            "name": item.name,
            "label": item.label,
            "paper": item.paper,
            "funding": item.funding,
            "cells": cells(quote, turnover_usd),
            "direction": display.direction(quote.change or quote.change_percent),
            "source": SOURCE_WORDS[Source(quote.source)],
            "seen_iso": datetime.fromtimestamp(quote.seen // 1000, UTC).strftime("%FT%TZ"),
            "age": age,
            "age_text": display.age(age),
            "curl_url": self._curl_url(quote.symbol),
            "hidden": not self.wish.admits(item),
            "sort_key": self._sort_key(item, quote, turnover_usd),
        }

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
    """The percent cell's value is the exchange's fraction, as received: 0.0123 shows as +1.23%."""
    funding = isinstance(quote, FundingQuote)
    money = display.rate if funding else display.price
    change = display.signed_rate if funding else display.signed
    percent = display.percent(quote.change_percent)
    return [
        cell("last", quote.last, money(quote.last)),
        *([cell("frr", quote.frr, money(quote.frr))] if isinstance(quote, FundingQuote) else []),
        cell("change-percent", quote.change_percent, percent),
        cell("change", quote.change, change(quote.change)),
        cell("bid", quote.bid, money(quote.bid), period(quote, "bid_period")),
        cell("ask", quote.ask, money(quote.ask), period(quote, "ask_period")),
        cell("high", quote.high, money(quote.high)),
        cell("low", quote.low, money(quote.low)),
        cell("volume", quote.volume, display.amount(quote.volume)),
        cell("turnover", turnover_usd, display.compact(turnover_usd)),
    ]


def period(quote: Quote, side: str) -> str:
    """For how long a funding bid or ask is."""
    days = getattr(quote, side, None)
    return f"{days}d" if days else ""


def show_choices(pairs: Iterable[Row]) -> list[tuple[str, str]]:
    """Quote currencies to filter by, the commonest first, paper ones left out."""
    counted = Counter((row["quote_code"], row["quote"]) for row in pairs if not row["paper"])
    return [choice for choice, _ in counted.most_common()]
