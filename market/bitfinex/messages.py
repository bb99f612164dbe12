"""Wire arrays of the exchange as structs. Fields beyond the ones named are ignored: the exchange
appends new ones ("lengths should never be hardcoded", Bitfinex docs, ws-general).
"""

import msgspec

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
