"""What a public socket of the exchange can tell, as values: channels, and events about them."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from market.bitfinex.messages import AnyLevel, AnyTicker, Candle, DerivativeStatus, Trade

ChannelName = Literal["ticker", "trades", "book", "candles", "status"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One subscription: a symbol, or a key such as `trade:1m:tBTCUSD`. Books have a precision
    (P0-P4, R0) and a length (1, 25, 100 or 250 levels) besides.
    """

    name: ChannelName
    target: str
    precision: str = ""
    length: str = ""

    @property
    def funding(self) -> bool:
        return self.target.startswith("f")

    def request(self) -> dict[str, Any]:
        """The fields that name this channel to the exchange (Bitfinex docs, ws-public)."""
        named_by = "key" if self.name in {"candles", "status"} else "symbol"
        fields = {"channel": self.name, named_by: self.target}
        if self.name == "book":
            fields |= {"prec": self.precision, "freq": "F0", "len": self.length}
        return fields


def book(symbol: str, precision: str = "P0", length: int = 25) -> Channel:
    return Channel("book", symbol, precision, str(length))


# --- The connection -------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Welcomed:
    """The exchange's first word, of version 2. `operative` is false in maintenance."""

    server_id: str
    operative: bool


@dataclass(frozen=True, slots=True)
class WrongVersion:
    """The exchange speaks another version: nothing it says may be trusted, close and alert."""

    version: float


@dataclass(frozen=True, slots=True)
class Configured:
    """Flags that are in force now."""

    flags: int


@dataclass(frozen=True, slots=True)
class NotConfigured:
    """Our flags were refused; sequence gaps go unnoticed on this connection."""

    text: str


@dataclass(frozen=True, slots=True)
class Restarting:
    """20051: the server goes away; reconnect after a pause."""


@dataclass(frozen=True, slots=True)
class MaintenanceBegan:
    """20060: nothing will come for a while, the connection stays."""


@dataclass(frozen=True, slots=True)
class MaintenanceEnded:
    """20061: subscribe to everything anew."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Another information or error that names no channel of ours."""

    code: int | None
    text: str


# --- Subscriptions --------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Subscribed:
    channel: Channel


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    channel: Channel


@dataclass(frozen=True, slots=True)
class Refused:
    """The exchange does not serve this channel (10300 failed, 10302 unknown channel)."""

    channel: Channel
    code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Full:
    """10305: this connection takes no more channels; the channel belongs on another one."""

    channel: Channel


# --- Data -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Heartbeat:
    channel: Channel


class TickerSeen(msgspec.Struct, frozen=True):
    channel: Channel
    ticker: AnyTicker


@dataclass(frozen=True, slots=True)
class TradesSeen:
    """The newest trades at subscribing, newest first."""

    channel: Channel
    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True)
class TradeSeen:
    """A trade at its first sight: `te` or `fte`, or the `tu` of one whose `te` never came."""

    channel: Channel
    trade: Trade


@dataclass(frozen=True, slots=True)
class TradeRepeated:
    """The later `tu` or `ftu` of a trade already seen."""

    channel: Channel
    trade: Trade


@dataclass(frozen=True, slots=True)
class BookSeen:
    channel: Channel
    levels: tuple[AnyLevel, ...]
    snapshot: bool


@dataclass(frozen=True, slots=True)
class ChecksumSeen:
    """Signed CRC-32 of the 25 best levels."""

    channel: Channel
    checksum: int


@dataclass(frozen=True, slots=True)
class CandlesSeen:
    channel: Channel
    candles: tuple[Candle, ...]
    snapshot: bool


@dataclass(frozen=True, slots=True)
class StatusSeen:
    channel: Channel
    status: DerivativeStatus


# --- Faults ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Frames were lost between two that came."""

    expected: int
    got: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """A frame that could not be used. `faulty` is false for one that merely came early or late,
    as frames do round subscribing.
    """

    reason: str
    channel: Channel | None = None
    faulty: bool = True


@dataclass(frozen=True, slots=True)
class Distrusted:
    """Too many faulty frames: subscribe to the channel anew, or reconnect when it is None."""

    channel: Channel | None


Event = (
    Welcomed
    | WrongVersion
    | Configured
    | NotConfigured
    | Restarting
    | MaintenanceBegan
    | MaintenanceEnded
    | Notice
    | Subscribed
    | Unsubscribed
    | Refused
    | Full
    | Heartbeat
    | TickerSeen
    | TradesSeen
    | TradeSeen
    | TradeRepeated
    | BookSeen
    | ChecksumSeen
    | CandlesSeen
    | StatusSeen
    | SequenceGap
    | Dropped
    | Distrusted
)
