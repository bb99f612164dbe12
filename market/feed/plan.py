"""Which channels to have, and on which connections. Pure: symbols in, channels out.

A ticker channel for every symbol keeps the grid true; since it speaks only every 10-15 s, what
somebody watches and the busiest pairs get their trades as well, as far as the connections reach.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import isfinite
from zlib import crc32

from market.bitfinex.events import Channel
from market.bitfinex.messages import AnyTicker, Number
from market.bitfinex.symbols import is_funding, is_paper, split_pair

CHANNELS = 25
"""Channels a connection (Bitfinex docs, ws-public; servers were seen to take a few more)."""

CONNECTIONS = 15
"""Connections a range asks for, unless its tickers alone need more: all of them may then be made
at once, and a quarter of the 20 a minute is left for reconnects."""

FEWEST_TRADES = 25
DOLLARS = {"USD", "UST", "UDC"}


def in_range(symbol: str, range_: int, ranges: int) -> bool:
    """Whether this one of the feed's `ranges` serves the symbol. Stable over time and machines."""
    return crc32(symbol.encode()) % ranges == range_


def by_volume(symbols: Iterable[str], tickers: Mapping[str, AnyTicker]) -> list[str]:
    """The symbols by what was traded in 24 h, in dollars, the busiest first; paper markets last.

    Only an order to serve them in: rough rates, and nothing is shown of it.
    """

    def worth(symbol: str) -> float:
        ticker = tickers.get(symbol)
        volume = _float(ticker.volume) if ticker else 0
        if is_funding(symbol):
            dollars = volume * _dollars(symbol[1:], tickers)
        else:
            quote = split_pair(symbol)[1]
            dollars = volume * _last(symbol, tickers) * _dollars(quote, tickers)
        return dollars if isfinite(dollars) else 0

    return sorted(symbols, key=lambda symbol: (is_paper(symbol), -worth(symbol), symbol))


def wishes(busiest: Sequence[str], watched: Collection[str]) -> list[Channel]:
    """Every channel to have, the most urgent first: what is watched, then the busiest.

    `busiest` are all symbols served, in order; watched symbols that are not among them are ignored.
    """
    ordered = sorted(busiest, key=lambda symbol: symbol not in watched)
    room = max(CONNECTIONS * CHANNELS - len(ordered), FEWEST_TRADES)
    pairs = [symbol for symbol in ordered if symbol in watched or _moves(symbol)]
    with_trades = set(pairs[:room])
    return [
        Channel(name, symbol)
        for symbol in ordered
        for name in (("ticker", "trades") if symbol in with_trades else ("ticker",))
    ]


def pack(
    placed: Sequence[Collection[Channel]], wanted: Sequence[Channel], room: Sequence[int]
) -> list[list[Channel]]:
    """Who carries what: item i is for connection i, which carries `placed[i]` now and takes
    `room[i]` channels; further items are for connections to be made.

    What is live and still wanted stays where it is. The rest goes into free places, most urgent
    first, and nothing is moved to tidy up: a move is a gap. An empty item: close that connection.
    """
    wish = dict.fromkeys(wanted)
    packed = [[channel for channel in channels if channel in wish] for channels in placed]
    there = {channel for channels in packed for channel in channels}
    rooms = list(room)
    target = 0
    for channel in wish:
        if channel in there:
            continue
        while target < len(packed) and len(packed[target]) >= rooms[target]:
            target += 1
        if target == len(packed):
            packed.append([])
            rooms.append(CHANNELS)
        packed[target].append(channel)
    return packed


def _moves(symbol: str) -> bool:
    return not is_funding(symbol) and not is_paper(symbol)


def _dollars(currency: str, tickers: Mapping[str, AnyTicker]) -> float:
    """What one unit is worth in dollars, 0 when no ticker tells."""
    if currency in DOLLARS:
        return 1
    direct = _last(f"t{currency}USD", tickers) or _last(f"t{currency}:USD", tickers)
    if direct:
        return direct
    bitcoin = _last(f"tBTC{currency}", tickers) or _last(f"tBTC:{currency}", tickers)
    return _last("tBTCUSD", tickers) / bitcoin if bitcoin else 0


def _last(symbol: str, tickers: Mapping[str, AnyTicker]) -> float:
    ticker = tickers.get(symbol)
    return _float(ticker.last) if ticker else 0


def _float(number: Number | None) -> float:
    """0 for what was not sent, and for an integer too large for a float."""
    try:
        return float(number or 0)
    except OverflowError:
        return 0
