"""REST calls as values: what to ask, which budget it draws on, and how to read the answer.

A builder makes a `Request`; the client sends it; `parse` gives the typed result or raises one of
`market.bitfinex.errors`. Nothing here opens a connection.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec

from market.bitfinex.errors import refusal, unreadable
from market.bitfinex.messages import (
    UNREADABLE,
    AnyLevel,
    AnyTicker,
    Candle,
    FundingLevel,
    FundingTicker,
    Level,
    RawFundingLevel,
    RawLevel,
    Ticker,
    Trade,
)
from market.bitfinex.symbols import is_funding, is_symbol

T = TypeVar("T")

MAX_BODY = 2 * 1024 * 1024
"""Bytes of an answer that are read at most; all tickers together take about 60 kB."""

MAX_TRADES = MAX_CANDLES = 10_000
TIME_FRAMES = ("1m", "5m", "15m", "30m", "1h", "3h", "6h", "12h", "1D", "1W", "14D", "1M")
PRECISIONS = ("P0", "P1", "P2", "P3", "P4", "R0")
BOOK_LENGTHS = (1, 25, 100, 250)

_CONF_KEY = re.compile(r"pub(:[a-z]+)+")
_FUNDING_PERIODS = re.compile(r"p\d{1,3}|a\d{1,3}:p\d{1,3}:p\d{1,3}")


class Hosts(Protocol):
    """Base addresses without a path, as `market.conf.Exchange` has them."""

    @property
    def public_rest(self) -> str: ...
    @property
    def rest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One call. `path` starts after `/v2/`; `scope` is the endpoint whose budget it draws on
    (`market.limits`); `read` makes the result of the body, or raises a decoding error.
    """

    path: str
    scope: str
    read: Callable[[bytes], T]
    query: tuple[tuple[str, str], ...] = ()
    method: Literal["GET", "POST"] = "GET"
    host: Literal["public", "auth"] = "public"
    body: str = ""

    def url(self, hosts: Hosts) -> str:
        base = hosts.public_rest if self.host == "public" else hosts.rest
        query = f"?{urlencode(self.query, safe=':,')}" if self.query else ""
        return f"{base}/v2/{self.path}{query}"


def parse(request: Request[T], status: int, body: bytes) -> T:
    """The result in this answer. Raises one of `market.bitfinex.errors`."""
    error = refusal(status, body)
    if error is not None:
        raise error
    try:
        return request.read(body)
    except (*UNREADABLE, LookupError):
        raise unreadable(status, body) from None


def curl(request: Request[Any], hosts: Hosts) -> str:
    """A public call as a line for the shell. Signed calls are refused (ValueError): such a line
    would carry a signature.
    """
    if request.host != "public":
        raise ValueError("only public calls can be copied")
    words = ["curl", "--silent", "--show-error"]
    if request.method == "POST":
        words += ["--header", "Content-Type: application/json", "--data", request.body]
    return shlex.join([*words, request.url(hosts)])


# --- Public endpoints -----------------------------------------------------------------------------
def platform_status() -> Request[bool]:
    """True while the exchange works, False in maintenance ("stop all trading activity")."""
    read = msgspec.json.Decoder(list[int]).decode
    return Request("platform/status", "platform/status", lambda body: read(body)[0] == 1)


def conf(keys: Sequence[str]) -> Request[list[Any]]:
    """One element for each key of the exchange's configuration, in order: `pub:list:pair:exchange`
    gives a list of pairs without `t`, `pub:map:…` a list of `[code, value]`.
    """
    for key in keys:
        _demand(_CONF_KEY.fullmatch(key), "conf key", key)
    decode = msgspec.json.Decoder(list[Any]).decode

    def read(body: bytes) -> list[Any]:
        values = decode(body)
        if len(values) < len(keys):
            raise msgspec.ValidationError("fewer values than keys")
        return values[: len(keys)]

    return Request(f"conf/{','.join(keys)}", "conf", read)


def tickers(symbols: Literal["ALL"] | Iterable[str]) -> Request[dict[str, AnyTicker]]:
    """Newest ticker of each symbol; a symbol the exchange does not know is missing. The answer may
    be up to 10 s old, since an edge cache sends it.
    """
    names = symbols if isinstance(symbols, str) else ",".join(map(_symbol, symbols))
    return Request("tickers", "tickers", _read_tickers, (("symbols", names),))


def ticker(symbol: str) -> Request[AnyTicker]:
    """Newest ticker of one symbol, as a pair or a funding currency has it."""
    kind = FundingTicker if is_funding(_symbol(symbol)) else Ticker
    decode = msgspec.json.Decoder[AnyTicker](kind).decode
    return Request(f"ticker/{symbol}", "ticker", decode)


def trades_hist(
    symbol: str, *, limit: int = 120, start: int | None = None, end: int | None = None
) -> Request[list[Trade]]:
    """Trades of everyone, newest first; `start` and `end` in ms since epoch."""
    _demand(1 <= limit <= MAX_TRADES, "limit", limit)
    decode = msgspec.json.Decoder(list[Trade]).decode
    query = _times({"limit": limit}, start, end)
    return Request(f"trades/{_symbol(symbol)}/hist", "trades", decode, query)


def candles(
    symbol: str,
    time_frame: str,
    *,
    period: str = "",
    limit: int = 100,
    start: int | None = None,
    end: int | None = None,
) -> Request[list[Candle]]:
    """Candles, newest first; times without a trade are skipped. `start` and `end` in ms since
    epoch. Funding wants a `period`: `p30`, or `a30:p2:p30` for an aggregate.
    """
    _demand(time_frame in TIME_FRAMES, "time frame", time_frame)
    _demand(1 <= limit <= MAX_CANDLES, "limit", limit)
    key = f"trade:{time_frame}:{_symbol(symbol)}"
    if is_funding(symbol):
        _demand(_FUNDING_PERIODS.fullmatch(period), "period", period)
        key += f":{period}"
    decode = msgspec.json.Decoder(list[Candle]).decode
    query = _times({"limit": limit}, start, end)
    return Request(f"candles/{key}/hist", "candles", decode, query)


def book(symbol: str, precision: str = "P0", length: int = 25) -> Request[list[AnyLevel]]:
    """Levels of the book, bids (best first), then asks; `R0` gives single orders."""
    _demand(precision in PRECISIONS, "precision", precision)
    _demand(length in BOOK_LENGTHS, "length", length)
    raw = precision == "R0"
    kind: type[AnyLevel]
    if is_funding(_symbol(symbol)):
        kind = RawFundingLevel if raw else FundingLevel
    else:
        kind = RawLevel if raw else Level
    decode = msgspec.json.Decoder[list[AnyLevel]](list[kind]).decode  # type: ignore[valid-type]
    return Request(f"book/{symbol}/{precision}", "book", decode, (("len", str(length)),))


def _read_tickers(body: bytes) -> dict[str, AnyTicker]:
    """Rows are a symbol and then its ticker. One bad row must not cost the whole table."""
    rows = msgspec.json.decode(body, type=list[msgspec.Raw])
    found: dict[str, AnyTicker] = {}
    for row in rows:
        with suppress(*UNREADABLE, ValueError):
            symbol, *fields = msgspec.json.decode(row, type=list[Any])
            if isinstance(symbol, str) and is_symbol(symbol):
                kind: type[AnyTicker] = FundingTicker if is_funding(symbol) else Ticker
                found[symbol] = msgspec.convert(fields, kind)
    if rows and not found:
        raise msgspec.ValidationError("no row is a ticker")
    return found


def _symbol(symbol: str) -> str:
    _demand(is_symbol(symbol), "symbol", symbol)
    return symbol


def _times(
    query: dict[str, int], start: int | None, end: int | None
) -> tuple[tuple[str, str], ...]:
    wanted = query | {"start": start} | {"end": end}
    return tuple((name, str(value)) for name, value in wanted.items() if value is not None)


def _demand(good: object, name: str, value: object) -> None:
    if not good:
        raise ValueError(f"{name}: {value!r}")
