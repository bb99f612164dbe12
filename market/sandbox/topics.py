"""What a WebSocket channel carries: its name, its updates, and where they come from.

A `Source` is the market behind the exchange: `state.Market` makes one up, `replay.Replay` plays a
recording. Everything a source hands out is JSON text, so that numbers keep their spelling.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple, Protocol


class Topic(NamedTuple):
    """A channel as all connections know it. `key` is the symbol, or the key of candles, status."""

    channel: str
    key: str
    prec: str = ""
    freq: str = ""
    length: str = ""

    @property
    def symbol(self) -> str:
        """The symbol behind the channel: `trade:1m:tBTCUSD` → `tBTCUSD`."""
        if self.channel == "candles":
            return split_candle_key(self.key)[1]
        return self.key.removeprefix("deriv:") if self.channel == "status" else self.key


class Event(NamedTuple):
    """Updates of one topic. A payload is the JSON text between the channel id and the bracket.

    Book updates made at one instant come as several payloads of one event, for BULK_UPDATES.
    """

    topic: Topic
    payloads: Sequence[str]


class Row(NamedTuple):
    """A row with its time, for the endpoints that filter by time."""

    mts: int
    text: str


class Refused(Exception):
    """A channel or an endpoint has nothing by that name. `args[0]` is the exchange's text."""


PRECISIONS = ("P0", "P1", "P2", "P3", "P4", "R0")
FREQUENCIES = ("F0", "F1")
LENGTHS = ("1", "25", "100", "250")
TIMEFRAMES = {
    "1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "3h": 180, "6h": 360, "12h": 720,
    "1D": 1440, "1W": 10080, "7D": 10080, "14D": 20160, "1M": 43200,
}  # fmt: skip
"""Minutes of a candle; a month (`1M`) is a calendar month, the number is its usual length."""


def check(topic: Topic, symbols: Container[str]) -> None:
    """Raise Refused, with the exchange's words, when no such channel can exist."""
    if topic.channel == "candles":
        split_candle_key(topic.key)
    elif topic.channel == "book":
        if topic.prec not in PRECISIONS or topic.freq not in FREQUENCIES:
            raise Refused("precision: invalid")
        if topic.length not in LENGTHS:
            raise Refused("length: invalid")
    if topic.symbol not in symbols:
        raise Refused("symbol: invalid")


def split_candle_key(key: str) -> tuple[str, str]:
    """`trade:1m:tBTCUSD` → timeframe and symbol (of funding: without the periods).

    Raises Refused for a key that is none.
    """
    kind, _, rest = key.partition(":")
    timeframe, _, symbol = rest.partition(":")
    if kind != "trade" or timeframe not in TIMEFRAMES or not symbol:
        raise Refused("key: invalid")
    return timeframe, symbol.split(":", 1)[0] if symbol.startswith("f") else symbol


class Source(Protocol):
    """The market behind the exchange."""

    def pairs(self) -> Sequence[str]:
        """Exchange pairs, without the leading `t`."""

    def symbols(self) -> Sequence[str]:
        """Every symbol with a ticker, in the order of `tickers?symbols=ALL`."""

    def info(self, key: str) -> str | None:
        """JSON text of one conf key, None when there is no such key."""

    def open(self, topic: Topic, now: float) -> None:
        """Somebody subscribed; raises Refused when there is no such channel."""

    def close(self, topic: Topic) -> None:
        """Nobody listens any more."""

    def snapshot(self, topic: Topic) -> list[str]:
        """Payloads a new subscriber gets before the updates."""

    def advance(self, now: float) -> list[Event]:
        """Let the market live until `now`; the updates of open topics, in order."""

    def checksum(self, topic: Topic) -> int | None:
        """Signed CRC-32 of a book channel as last sent, None for other channels."""

    def ticker(self, symbol: str) -> str | None:
        """JSON text of the ticker's array."""

    def trades(self, symbol: str) -> Sequence[Row]:
        """Trades, newest first."""

    def candles(self, key: str, start: int, end: int) -> Iterable[Row]:
        """Candles of `trade:1m:tBTCUSD` that open within [start, end] ms, newest first.

        Raises Refused for a key that is none.
        """

    def book(self, symbol: str, prec: str, length: int) -> Sequence[str]:
        """Rows of a book, bids then asks, best first."""

    def status(self, symbol: str) -> str | None:
        """JSON text of a derivative's status array, without the key."""

    def control(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A command of the control port that only one kind of source knows; raises Refused."""
