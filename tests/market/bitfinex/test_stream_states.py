"""Subscriptions as a state machine: in whatever order the exchange answers, both sides agree."""

import json

import hypothesis.strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from market.bitfinex import events
from market.bitfinex.events import Channel
from market.bitfinex.stream import StreamProtocol

CHANNELS = [Channel("ticker", f"t{name}USD") for name in ("BTC", "ETH", "LTC")]
CHANNELS += [Channel("trades", "tBTCUSD")]


class Exchange(RuleBasedStateMachine):
    """The exchange's side: requests arrive in order and are answered in any order."""

    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.protocol = StreamProtocol(0)
        self.asked: set[Channel] = set()
        self.open: dict[int, Channel] = {}
        self.leaving: set[int] = set()
        self.next_id = 1

    def told(self, **frame: object) -> object:
        (event,) = self.protocol.receive(json.dumps(frame), 0)
        return event

    @rule(channel=st.sampled_from(CHANNELS))
    def we_subscribe(self, channel: Channel) -> None:
        if channel not in self.protocol.known:
            self.protocol.subscribe(channel, 0)
            self.asked.add(channel)

    @rule(channel=st.sampled_from(CHANNELS))
    def we_leave(self, channel: Channel) -> None:
        text = self.protocol.unsubscribe(channel, 0)
        assert (text is None) == (channel not in self.open.values())
        if text:
            self.leaving.add(json.loads(text)["chanId"])

    @rule(data=st.data())
    def it_accepts(self, data: st.DataObject) -> None:
        if self.asked:
            channel = data.draw(st.sampled_from(sorted(self.asked, key=str)))
            event = self.told(event="subscribed", chanId=self.next_id, **channel.request())
            assert event == events.Subscribed(channel)
            self.asked.discard(channel)
            self.open[self.next_id] = channel
            self.next_id += 1

    @rule(data=st.data(), code=st.sampled_from([10300, 10305]))
    def it_refuses(self, data: st.DataObject, code: int) -> None:
        if self.asked:
            channel = data.draw(st.sampled_from(sorted(self.asked, key=str)))
            event = self.told(event="error", code=code, **channel.request())
            assert event in {events.Full(channel), events.Refused(channel, code, "")}
            self.asked.discard(channel)

    @rule(data=st.data())
    def it_lets_go(self, data: st.DataObject) -> None:
        if self.leaving:
            chan_id = data.draw(st.sampled_from(sorted(self.leaving)))
            event = self.told(event="unsubscribed", status="OK", chanId=chan_id)
            assert event == events.Unsubscribed(self.open.pop(chan_id))
            self.leaving.discard(chan_id)

    @rule(chan_id=st.integers(1, 20))
    def it_beats(self, chan_id: int) -> None:
        (event,) = self.protocol.receive(f'[{chan_id},"hb"]', 0)
        channel = self.open.get(chan_id)
        assert event == (
            events.Heartbeat(channel)
            if channel
            else events.Dropped("of no channel, or not yet", faulty=False)
        )

    @invariant()
    def both_sides_agree(self) -> None:
        staying = {ch for chan_id, ch in self.open.items() if chan_id not in self.leaving}
        assert self.protocol.live == staying
        assert self.protocol.known == self.asked | set(self.open.values())


TestExchange = Exchange.TestCase
