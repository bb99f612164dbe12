"""Wire arrays of the exchange as structs. Fields beyond the ones named are ignored: the exchange
appends new ones ("lengths should never be hardcoded", Bitfinex docs, ws-general).
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Number = int | float
"""A number of public market data, as the exchange's JSON spells it (docs/decisions/001)."""


class Ticker(msgspec.Struct, array_like=True, frozen=True):
    """`[BID, BID_SIZE, ASK, ASK_SIZE, DAILY_CHANGE, DAILY_CHANGE_RELATIVE, LAST, VOLUME, HIGH,
    LOW]`; sizes are sums over the 25 best levels (Bitfinex docs, ws-public-ticker).
    """

    bid: Number | None
    bid_size: Number | None
    ask: Number | None
    ask_size: Number | None
    change: Number | None
    change_relative: Number | None
    last: Number | None
    volume: Number | None
    high: Number | None
    low: Number | None


class FundingTicker(msgspec.Struct, array_like=True, frozen=True):
    """`[FRR, BID, BID_PERIOD, BID_SIZE, ASK, ASK_PERIOD, ASK_SIZE, DAILY_CHANGE,
    DAILY_CHANGE_RELATIVE, LAST, VOLUME, HIGH, LOW]`: period comes before size (recorded 2017).
    """

    frr: Number | None
    bid: Number | None
    bid_period: int | None
    bid_size: Number | None
    ask: Number | None
    ask_period: int | None
    ask_size: Number | None
    change: Number | None
    change_relative: Number | None
    last: Number | None
    volume: Number | None
    high: Number | None
    low: Number | None


class Trade(msgspec.Struct, array_like=True, frozen=True):
    """`[ID, MTS, AMOUNT, PRICE]`; a negative amount is a taker's sale. Funding trades carry a daily
    rate in place of the price, then the period in days, which nothing here needs.
    """

    id: int
    mts: int
    amount: Number
    price: Number


class Level(msgspec.Struct, array_like=True, frozen=True):
    """`[PRICE, COUNT, AMOUNT]` of a book P0-P4. Positive amounts are bids, negative asks; count 0
    deletes the level, then the amount is 1 or -1 for the side.
    """

    price: Number
    count: int
    amount: Number


class RawLevel(msgspec.Struct, array_like=True, frozen=True):
    """`[ORDER_ID, PRICE, AMOUNT]` of a book R0; price 0 deletes the order."""

    order_id: int
    price: Number
    amount: Number


class FundingLevel(msgspec.Struct, array_like=True, frozen=True):
    """`[RATE, PERIOD, COUNT, AMOUNT]`; here positive amounts are asks, offers of lenders."""

    rate: Number
    period: int
    count: int
    amount: Number


class RawFundingLevel(msgspec.Struct, array_like=True, frozen=True):
    """`[OFFER_ID, PERIOD, RATE, AMOUNT]`; rate 0 deletes the offer."""

    offer_id: int
    period: int
    rate: Number
    amount: Number


class Candle(msgspec.Struct, array_like=True, frozen=True):
    """`[MTS, OPEN, CLOSE, HIGH, LOW, VOLUME]`: close comes before high and low."""

    mts: int
    open: Number
    close: Number
    high: Number
    low: Number
    volume: Number


class DerivativeStatus(msgspec.Struct, array_like=True, frozen=True):
    """`[MTS, null, DERIV_PRICE, SPOT_PRICE, …]` of a channel `deriv:SYMBOL`."""

    mts: int
    _unused: Any
    price: Number | None
    spot_price: Number | None


AnyTicker = Ticker | FundingTicker
AnyLevel = Level | RawLevel | FundingLevel | RawFundingLevel


class Platform(msgspec.Struct, frozen=True):
    """1 operative, 0 maintenance."""

    status: int


class ServerEvent(msgspec.Struct, frozen=True):
    """Any JSON object the exchange sends; which fields are set depends on `event`."""

    event: str
    version: Number | None = None
    serverId: str | None = None
    platform: Platform | None = None
    code: int | None = None
    msg: str | None = None
    status: str | int | None = None
    flags: int = 0
    channel: str | None = None
    chanId: int | None = None
    symbol: str | None = None
    key: str | None = None
    prec: str | None = None
    len: str | int | None = None


UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""All that the decoders below raise, on whatever text or bytes."""

decode_event = msgspec.json.Decoder(ServerEvent).decode
decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_integer = msgspec.json.Decoder(int).decode
decode_ticker_frame = msgspec.json.Decoder(tuple[int, Ticker, int]).decode
decode_ticker = msgspec.json.Decoder(Ticker).decode
decode_funding_ticker = msgspec.json.Decoder(FundingTicker).decode
decode_trade = msgspec.json.Decoder(Trade).decode
decode_level = msgspec.json.Decoder(Level).decode
decode_raw_level = msgspec.json.Decoder(RawLevel).decode
decode_funding_level = msgspec.json.Decoder(FundingLevel).decode
decode_raw_funding_level = msgspec.json.Decoder(RawFundingLevel).decode
decode_candle = msgspec.json.Decoder(Candle).decode
decode_derivative_status = msgspec.json.Decoder(DerivativeStatus).decode


def decode_rows(payload: msgspec.Raw, decode_one: Callable[[msgspec.Raw], T]) -> tuple[T, ...]:
    """The rows of a snapshot, or the one row of an update."""
    if is_snapshot(payload):
        return tuple(decode_one(row) for row in decode_parts(payload))
    return (decode_one(payload),)


def is_snapshot(payload: msgspec.Raw) -> bool:
    """Whether this is `[[…], …]` or `[]`, rather than one row."""
    start = bytes(memoryview(payload)[:16]).translate(None, b" \t\r\n")
    return start.startswith((b"[[", b"[]"))
