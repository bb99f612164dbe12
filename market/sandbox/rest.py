"""Public REST v2 as a function of path and query: bodies, errors and statuses, no I/O.

Facts are those of docs.bitfinex.com (rest-public); errors come with HTTP 500 and unknown paths with
an HTML 404, as measured on the real exchange.
"""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from itertools import islice
from typing import NamedTuple

from market.sandbox import calls
from market.sandbox.topics import PRECISIONS, Refused, Row, Source

MOST_ROWS = 10_000
_DEFAULT_TRADES = 125
_DEFAULT_CANDLES = 100
_END_OF_TIME = 1 << 60


class Reply(NamedTuple):
    status: int
    body: str
    content_type: str = "application/json"


ENDPOINTS = ("platform/status", "conf", "tickers", "ticker", "trades", "candles", "book",
             "status/deriv")  # fmt: skip


def endpoint(path: str) -> str:
    """The endpoint whose rate a path (`/v2/ticker/tBTCUSD`) draws on; `other` for unknown ones."""
    if path.startswith("/v2/auth/"):
        return calls.endpoint(path.removeprefix("/v2/")) or "other"
    parts = path.removeprefix("/v2/").split("/")
    for name in ("/".join(parts[:2]), parts[0]):
        if path.startswith("/v2/") and name in ENDPOINTS:
            return name
    return "other"


def error(code: int, text: str) -> Reply:
    return Reply(500, f'["error",{code},"{text}"]')


def rate_limited() -> Reply:
    return Reply(429, '{"error":"ERR_RATE_LIMIT"}')


def not_found(method: str, path: str) -> Reply:
    shown = escape(f"/api{path}")
    return html(404, "Error", f"<pre>Cannot {escape(method)} {shown}</pre>")


def html(status: int, title: str, body: str) -> Reply:
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}'
        f"</title>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    return Reply(status, page, "text/html")


def answer(
    method: str, path: str, query: Mapping[str, str], source: Source, *, platform: int = 1
) -> Reply:
    """The reply to one request. `path` is decoded, with its leading `/v2/`."""
    name = endpoint(path)
    rest = path.removeprefix(f"/v2/{name}").removeprefix("/")
    if method != "GET" or name == "other":
        return not_found(method, path)
    if name == "platform/status" and not rest:
        return Reply(200, f"[{platform}]")
    handler = _HANDLERS.get(name)
    if handler is None:
        return not_found(method, path)
    try:
        body = handler(rest, query, source)
    except Refused as refused:
        return error(10020, refused.args[0])
    return not_found(method, path) if body is None else Reply(200, body)


def _conf(rest: str, query: Mapping[str, str], source: Source) -> str | None:
    if not rest:
        return None
    return _array(source.info(key) or "[]" for key in rest.split(","))


def _tickers(rest: str, query: Mapping[str, str], source: Source) -> str | None:
    if rest:
        return None
    asked = query.get("symbols", "")
    if not asked:
        raise Refused("symbols: invalid")
    symbols = source.symbols() if asked == "ALL" else asked.split(",")
    rows = ((symbol, source.ticker(symbol)) for symbol in symbols)
    return _array(f'["{symbol}",{row[1:]}' for symbol, row in rows if row is not None)


def _ticker(rest: str, query: Mapping[str, str], source: Source) -> str | None:
    if not rest or "/" in rest:
        return None
    row = source.ticker(rest)
    if row is None:
        raise Refused("symbol: invalid")
    return row


def _trades(rest: str, query: Mapping[str, str], source: Source) -> str | None:
    symbol, _, section = rest.partition("/")
    if section != "hist":
        return None
    _known(symbol, source)
    return _listed(source.trades(symbol), query, _DEFAULT_TRADES)


def _candles(rest: str, query: Mapping[str, str], source: Source) -> str | None:
    key, _, section = rest.partition("/")
    if section not in ("hist", "last"):
        return None
    start, end = _whole(query, "start", 0), _whole(query, "end", _END_OF_TIME)
    rows = source.candles(key, start, end)
    if section == "last":
        newest = next(iter(rows), None)
        return newest.text if newest else "[]"
    return _listed(rows, query, _DEFAULT_CANDLES)


def _book(rest: str, query: Mapping[str, str], source: Source) -> str | None:
    symbol, _, prec = rest.partition("/")
    if not prec:
        return None
    _known(symbol, source)
    if prec not in PRECISIONS:
        raise Refused("prec: invalid")
    length = query.get("len", "25")
    if length not in ("1", "25", "100", "250"):
        raise Refused("len: invalid")
    return _array(source.book(symbol, prec, int(length)))


def _deriv(rest: str, query: Mapping[str, str], source: Source) -> str | None:
    if rest:
        return None
    asked = query.get("keys", "")
    symbols = source.symbols() if asked == "ALL" else asked.split(",")
    rows = ((symbol, source.status(symbol)) for symbol in symbols)
    return _array(f'["{symbol}",{row[1:]}' for symbol, row in rows if row is not None)


_HANDLERS: dict[str, Callable[[str, Mapping[str, str], Source], str | None]] = {
    "conf": _conf,
    "tickers": _tickers,
    "ticker": _ticker,
    "trades": _trades,
    "candles": _candles,
    "book": _book,
    "status/deriv": _deriv,
}


def _known(symbol: str, source: Source) -> None:
    if source.ticker(symbol) is None:
        raise Refused("symbol: invalid")


def _listed(newest_first: Iterable[Row], query: Mapping[str, str], usual: int) -> str:
    """The rows within `start`, `end` and `limit`; `sort=1` counts and lists from the oldest."""
    limit = _whole(query, "limit", usual)
    if not 0 < limit <= MOST_ROWS:
        raise Refused("limit: invalid")
    start, end = _whole(query, "start", 0), _whole(query, "end", _END_OF_TIME)
    if _whole(query, "sort", -1) != 1:
        rows = (row for row in newest_first if start <= row.mts <= end)
        return _array(row.text for row in islice(rows, limit))
    if not start:
        oldest_first = list(islice((row for row in newest_first if row.mts <= end), limit))
    else:
        oldest_first = [row for row in newest_first if start <= row.mts <= end]
    return _array(row.text for row in islice(reversed(oldest_first), limit))


def _whole(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name)
    if text is None:
        return usual
    try:
        return int(text)
    except ValueError:
        raise Refused(f"{name}: invalid") from None


def _array(texts: Iterable[str]) -> str:
    return "[" + ",".join(texts) + "]"
