"""Which channels of one connection are asked for, live, or being left, and when each was heard.

Acknowledgements are matched on what they name, never on their order: the exchange answers
subscriptions as they get ready (recorded 2021).
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import cast

from market.bitfinex.events import Channel, ChannelName
from market.bitfinex.messages import ServerEvent

FAULTS = 3
FAULT_SECONDS = 10.0


class State(Enum):
    ASKED = auto()
    LIVE = auto()
    LEAVING = auto()


class FaultCount:
    """Says when too many faulty frames came within a short time, and then starts anew."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=FAULTS)

    def too_many(self, now: float) -> bool:
        """Note one more fault; true when it is one too many."""
        self._times.append(now)
        if len(self._times) < FAULTS or now - self._times[0] > FAULT_SECONDS:
            return False
        self._times.clear()
        return True


@dataclass(slots=True)
class Subscription:
    """`heard` is when the channel last gave a sign of life, or when it was asked for."""

    channel: Channel
    heard: float
    state: State = State.ASKED
    chan_id: int | None = None
    newest_trade: int = 0
    faults: FaultCount = field(default_factory=FaultCount)


class Subscriptions:
    def __init__(self) -> None:
        self._by_channel: dict[Channel, Subscription] = {}
        self._by_id: dict[int, Subscription] = {}
        self._tickers: dict[bytes, Subscription] = {}
        self.ticker = self._tickers.get
        """The live trading ticker whose frames begin with these bytes, `[17,`: most frames do."""

    def ask(self, channel: Channel, now: float) -> None:
        """Note a request; asking again for one that is still open is harmless."""
        known = self._by_channel.setdefault(channel, Subscription(channel, now))
        known.heard = now

    def accept(self, subscription: Subscription, chan_id: int, now: float) -> None:
        subscription.state = State.LIVE
        subscription.chan_id = chan_id
        subscription.heard = now
        self._by_id[chan_id] = subscription
        self._tickers.pop(b"[%d," % chan_id, None)
        if subscription.channel.name == "ticker" and not subscription.channel.funding:
            self._tickers[b"[%d," % chan_id] = subscription

    def forget(self, subscription: Subscription) -> None:
        self._by_channel.pop(subscription.channel, None)
        if self._by_id.get(subscription.chan_id or 0) is subscription:
            self._by_id.pop(subscription.chan_id or 0)
            self._tickers.pop(b"[%d," % (subscription.chan_id or 0), None)

    def get(self, channel: Channel) -> Subscription | None:
        return self._by_channel.get(channel)

    def with_id(self, chan_id: int | None) -> Subscription | None:
        return None if chan_id is None else self._by_id.get(chan_id)

    def asked_for(self, event: ServerEvent) -> Subscription | None:
        """The open request that this acknowledgement or refusal names."""
        target = event.symbol or event.key or ""
        options = (event.prec or "", str(event.len or "")) if event.channel == "book" else ()
        channel = Channel(cast(ChannelName, event.channel), target, *options)
        known = self._by_channel.get(channel)
        return known if known and known.state is State.ASKED else None

    def in_state(self, *states: State) -> set[Channel]:
        return {channel for channel, known in self._by_channel.items() if known.state in states}

    def not_heard_since(self, then: float) -> list[Channel]:
        return [channel for channel, known in self._by_channel.items() if known.heard <= then]
