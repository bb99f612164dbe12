"""The stream protocol: what each frame of the exchange means, and that none can hurt."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bitfinex import events
from market.bitfinex.events import Channel, Event, book
from market.bitfinex.messages import FundingTicker, Trade
from market.bitfinex.stream import SEQ_ALL, TIMESTAMP, StreamProtocol

BTC = Channel("ticker", "tBTCUSD")
ETH = Channel("ticker", "tETHUSD")
TRADES = Channel("trades", "tBTCUSD")
TICKER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def subscribed(channel: Channel, chan_id: int) -> str:
    return json.dumps({"event": "subscribed", "chanId": chan_id, **channel.request()})


def stream(*channels: Channel, flags: int = 0) -> StreamProtocol:
    """A stream whose channels are live as chanId 1, 2, …"""
    protocol = StreamProtocol(now=0)
    protocol.receive(json.dumps({"event": "conf", "status": "OK", "flags": flags}), 0)
    for chan_id, channel in enumerate(channels, 1):
        protocol.subscribe(channel, 0)
        protocol.receive(subscribed(channel, chan_id), 0)
    return protocol


def told(protocol: StreamProtocol, *frames: object, now: float = 1) -> list[Event]:
    texts = [frame if isinstance(frame, str) else json.dumps(frame) for frame in frames]
    return [event for text in texts for event in protocol.receive(text, now)]


class TestWhatWeSay:
    def test_the_first_text_asks_for_sequence_numbers(self) -> None:
        assert json.loads(StreamProtocol(0).configure()) == {"event": "conf", "flags": 65536}

    @pytest.mark.parametrize(
        ("channel", "fields"),
        [
            (BTC, {"channel": "ticker", "symbol": "tBTCUSD"}),
            (Channel("candles", "trade:1m:tBTCUSD"), {"key": "trade:1m:tBTCUSD"}),
            (Channel("status", "deriv:tBTCF0:USTF0"), {"key": "deriv:tBTCF0:USTF0"}),
            (book("tBTCUSD", "R0", 100), {"prec": "R0", "freq": "F0", "len": "100"}),
        ],
    )
    def test_a_subscription_names_its_channel(
        self, channel: Channel, fields: dict[str, str]
    ) -> None:
        sent = json.loads(StreamProtocol(0).subscribe(channel, 0))
        assert sent["event"] == "subscribe"
        assert sent.items() >= fields.items()

    def test_a_live_channel_is_left_by_its_number(self) -> None:
        protocol = stream(BTC)
        text = protocol.unsubscribe(BTC, 1)
        assert text is not None
        assert json.loads(text) == {"event": "unsubscribe", "chanId": 1}
        assert protocol.live == set()
        assert protocol.known == {BTC}

    def test_a_channel_that_is_not_live_cannot_be_left(self) -> None:
        protocol = StreamProtocol(0)
        protocol.subscribe(BTC, 0)
        assert protocol.unsubscribe(BTC, 1) is None
        assert protocol.unsubscribe(ETH, 1) is None


class TestTheConnection:
    def test_the_welcome_names_server_and_platform(self) -> None:
        frame = {"event": "info", "version": 2, "serverId": "x", "platform": {"status": 0}}
        assert told(StreamProtocol(0), frame) == [events.Welcomed("x", operative=False)]
        assert told(StreamProtocol(0), {"event": "info", "version": 2}) == [
            events.Welcomed("", operative=True)
        ]

    @pytest.mark.parametrize("version", [1, 1.1, 3])
    def test_another_version_raises_the_alarm(self, version: float) -> None:
        found = told(StreamProtocol(0), {"event": "info", "version": version})
        assert found == [events.WrongVersion(version)]

    @pytest.mark.parametrize(
        ("code", "event"),
        [
            (20051, events.Restarting()),
            (20060, events.MaintenanceBegan()),
            (20061, events.MaintenanceEnded()),
            (5000, events.Notice(5000, "hello")),
        ],
    )
    def test_information_codes_have_their_meaning(self, code: int, event: Event) -> None:
        frame = {"event": "info", "code": code, "msg": "hello"}
        assert told(StreamProtocol(0), frame) == [event]

    def test_flags_are_confirmed_or_refused(self) -> None:
        protocol = StreamProtocol(0)
        assert told(protocol, {"event": "conf", "status": "OK", "flags": 65536}) == [
            events.Configured(65536)
        ]
        assert told(protocol, {"event": "conf", "status": "FAILED"}) == [
            events.NotConfigured("FAILED")
        ]
        assert told(protocol, {"event": "error", "code": 10050, "msg": "flags"}) == [
            events.NotConfigured("flags")
        ]

    def test_other_events_are_told_as_they_are(self) -> None:
        protocol = StreamProtocol(0)
        assert told(protocol, {"event": "pong", "cid": 1}) == [events.Notice(None, "pong")]
        frame = {"event": "error", "code": 10000, "msg": "event: invalid"}
        assert told(protocol, frame) == [events.Notice(10000, "event: invalid")]


class TestSubscriptions:
    def test_acknowledgements_may_come_in_any_order(self) -> None:
        protocol = StreamProtocol(0)
        for channel in (BTC, ETH, TRADES):
            protocol.subscribe(channel, 0)
        found = told(protocol, subscribed(TRADES, 3), subscribed(ETH, 2), subscribed(BTC, 1))
        assert found == [events.Subscribed(channel) for channel in (TRADES, ETH, BTC)]
        (seen,) = told(protocol, [2, TICKER])
        assert isinstance(seen, events.TickerSeen)
        assert (seen.channel, seen.ticker.last) == (ETH, 7)

    def test_books_of_one_symbol_are_told_apart(self) -> None:
        raw, grouped = book("tBTCUSD", "R0"), book("tBTCUSD", "P0")
        protocol = StreamProtocol(0)
        protocol.subscribe(raw, 0)
        protocol.subscribe(grouped, 0)
        assert told(protocol, subscribed(grouped, 1)) == [events.Subscribed(grouped)]

    def test_frames_before_their_acknowledgement_do_no_harm(self) -> None:
        protocol = StreamProtocol(0)
        protocol.subscribe(BTC, 0)
        for _ in range(9):
            (dropped,) = told(protocol, [1, "hb"])
            assert dropped == events.Dropped("of no channel, or not yet", faulty=False)
        assert told(protocol, subscribed(BTC, 1)) == [events.Subscribed(BTC)]

    def test_an_acknowledgement_that_nobody_asked_for_opens_nothing(self) -> None:
        protocol = StreamProtocol(0)
        (dropped,) = told(protocol, subscribed(BTC, 1))
        assert isinstance(dropped, events.Dropped)
        assert not dropped.faulty
        assert protocol.known == set()

    def test_leaving_is_confirmed(self) -> None:
        protocol = stream(BTC)
        protocol.unsubscribe(BTC, 1)
        frame = {"event": "unsubscribed", "status": "OK", "chanId": 1}
        assert told(protocol, frame) == [events.Unsubscribed(BTC)]
        assert protocol.known == set()
        assert isinstance(told(protocol, frame)[0], events.Dropped)

    @pytest.mark.parametrize("code", [10400, 10401])
    def test_leaving_what_the_exchange_does_not_know_is_left_all_the_same(self, code: int) -> None:
        protocol = stream(BTC)
        protocol.unsubscribe(BTC, 1)
        frame = {"event": "error", "msg": "unsubscribe: invalid", "code": code, "chanId": 1}
        assert told(protocol, frame) == [events.Unsubscribed(BTC)]

    @pytest.mark.parametrize("code", [10300, 10302])
    def test_a_refusal_names_the_channel(self, code: int) -> None:
        protocol = StreamProtocol(0)
        protocol.subscribe(BTC, 0)
        frame = {"event": "error", "msg": "symbol: invalid", "code": code, **BTC.request()}
        assert told(protocol, frame) == [events.Refused(BTC, code, "symbol: invalid")]
        assert protocol.known == set()

    def test_a_full_connection_says_so(self) -> None:
        protocol = StreamProtocol(0)
        protocol.subscribe(BTC, 0)
        frame = {"event": "error", "msg": "subscribe: limit", "code": 10305, **BTC.request()}
        assert told(protocol, frame) == [events.Full(BTC)]

    def test_a_duplicate_is_taken_over_with_its_number(self) -> None:
        protocol = StreamProtocol(0)
        protocol.subscribe(BTC, 0)
        frame = {"event": "error", "msg": "subscribe: dup", "code": 10301, **BTC.request()}
        assert told(protocol, {**frame, "chanId": 7}) == [events.Subscribed(BTC)]
        assert protocol.live == {BTC}

    def test_a_duplicate_of_a_live_channel_changes_nothing(self) -> None:
        protocol = stream(BTC)
        frame = {"event": "error", "msg": "subscribe: dup", "code": 10301, **BTC.request()}
        assert told(protocol, {**frame, "chanId": 1}) == [events.Notice(10301, "subscribe: dup")]
        assert protocol.live == {BTC}

    def test_a_number_given_to_another_channel_belongs_to_that_one(self) -> None:
        protocol = stream(BTC)
        protocol.subscribe(ETH, 1)
        told(protocol, subscribed(ETH, 1))
        assert told(protocol, [1, "hb"]) == [events.Heartbeat(ETH)]


class TestData:
    def test_a_funding_ticker_is_read_as_one(self) -> None:
        usd = Channel("ticker", "fUSD")
        row = [0.00071, 0.0006, 30, 5000, 0.0007, 2, 10, 0, 0, 0.0006, 1e6, 0.001, 0.0005]
        (seen,) = told(stream(usd), [1, [*row, None, None, 99]])
        assert isinstance(seen, events.TickerSeen)
        assert isinstance(seen.ticker, FundingTicker)
        assert (seen.ticker.bid_period, seen.ticker.bid_size) == (30, 5000)

    def test_a_trade_counts_once_though_it_comes_twice(self) -> None:
        protocol = stream(TRADES)
        found = told(protocol, [1, "te", [7, 99, -0.5, 100]], [1, "tu", [7, 99, -0.5, 100]])
        trade = Trade(7, 99, -0.5, 100)
        assert found == [events.TradeSeen(TRADES, trade), events.TradeRepeated(TRADES, trade)]

    def test_a_trade_whose_first_word_was_lost_counts_at_its_second(self) -> None:
        found = told(stream(TRADES), [1, "tu", [7, 99, -0.5, 100]])
        assert found == [events.TradeSeen(TRADES, Trade(7, 99, -0.5, 100))]

    def test_funding_trades_carry_a_rate(self) -> None:
        usd = Channel("trades", "fUSD")
        found = told(stream(usd), [1, "fte", [7, 99, 500, 0.0002, 30]])
        assert found == [events.TradeSeen(usd, Trade(7, 99, 500, 0.0002))]
        assert isinstance(told(stream(usd), [1, "ftu", [8, 99, 1, 2, 3]])[0], events.TradeSeen)

    def test_the_snapshot_knows_the_newest_trade(self) -> None:
        protocol = stream(TRADES)
        (seen,) = told(protocol, [1, [[9, 50, 1, 1], [8, 40, 1, 1]]])
        assert isinstance(seen, events.TradesSeen)
        assert len(seen.trades) == 2
        (late,) = told(protocol, [1, "te", [8, 40, 1, 1]])
        assert late == events.Dropped("trade out of order", TRADES)

    def test_a_market_without_trades_has_an_empty_snapshot(self) -> None:
        assert told(stream(TRADES), [1, []]) == [events.TradesSeen(TRADES, ())]

    @pytest.mark.parametrize(
        ("channel", "row"),
        [
            (book("tBTCUSD"), [100, 1, 0.5]),
            (book("tBTCUSD", "R0"), [77, 100, 0.5]),
            (book("fUSD"), [0.0002, 30, 1, 500]),
            (book("fUSD", "R0"), [77, 30, 0.0002, 500]),
        ],
    )
    def test_books_come_whole_and_then_level_by_level(
        self, channel: Channel, row: list[float]
    ) -> None:
        whole, one = told(stream(channel), [1, [row, row]], [1, row])
        assert isinstance(whole, events.BookSeen)
        assert isinstance(one, events.BookSeen)
        assert (whole.snapshot, len(whole.levels)) == (True, 2)
        assert (one.snapshot, one.levels) == (False, whole.levels[:1])

    def test_a_checksum_is_told(self) -> None:
        channel = book("tBTCUSD")
        found = told(stream(channel), [1, "cs", -890884919])
        assert found == [events.ChecksumSeen(channel, -890884919)]

    def test_candles_come_whole_and_then_one_by_one(self) -> None:
        channel = Channel("candles", "trade:1m:tBTCUSD")
        whole, one = told(stream(channel), [1, [[1, 2, 3, 4, 1, 9]]], [1, [1, 2, 3, 4, 1, 9]])
        assert isinstance(whole, events.CandlesSeen)
        assert isinstance(one, events.CandlesSeen)
        assert (whole.snapshot, one.snapshot) == (True, False)
        assert whole.candles[0].close == 3

    def test_a_derivative_status_is_read(self) -> None:
        channel = Channel("status", "deriv:tBTCF0:USTF0")
        (seen,) = told(stream(channel), [1, [1790133734000, None, 86710.4, 86670.5, None, 6.2]])
        assert isinstance(seen, events.StatusSeen)
        assert (seen.status.price, seen.status.spot_price) == (86710.4, 86670.5)

    def test_a_frame_may_come_as_bytes(self) -> None:
        assert stream(BTC).receive(b'[1,"hb"]', 1) == [events.Heartbeat(BTC)]


class TestSequence:
    def test_numbered_frames_without_a_gap_are_plain_frames(self) -> None:
        protocol = stream(BTC, flags=SEQ_ALL)
        found = told(protocol, [1, "hb", 1], [1, TICKER, 2])
        assert [type(event) for event in found] == [events.Heartbeat, events.TickerSeen]

    def test_a_gap_is_noticed_and_the_frame_still_used(self) -> None:
        protocol = stream(BTC, flags=SEQ_ALL)
        found = told(protocol, [1, "hb", 1], [1, "hb", 4], [1, "hb", 5])
        beat = events.Heartbeat(BTC)
        assert found == [beat, events.SequenceGap(2, 4), beat, beat]

    def test_a_frame_out_of_order_is_dropped(self) -> None:
        protocol = stream(BTC, flags=SEQ_ALL)
        *_, late = told(protocol, [1, "hb", 1], [1, "hb", 2], [1, TICKER, 1])
        assert late == events.Dropped("out of order", BTC)

    def test_frames_of_unknown_channels_are_counted_in(self) -> None:
        protocol = stream(BTC, flags=SEQ_ALL)
        found = told(protocol, [9, "hb", 1], [9, "hb", 2], [1, "hb", 3])
        assert found[-1] == events.Heartbeat(BTC)

    def test_time_after_the_number_is_ignored(self) -> None:
        protocol = stream(BTC, flags=SEQ_ALL + TIMESTAMP)
        found = told(protocol, [1, "hb", 1, 1790134414850], [1, TICKER, 2, 1790134414851])
        assert [type(event) for event in found] == [events.Heartbeat, events.TickerSeen]

    def test_a_missing_number_is_a_fault(self) -> None:
        protocol = stream(BTC, flags=SEQ_ALL)
        assert told(protocol, [1, "hb"]) == [events.Dropped("too short")]
        (dropped,) = told(protocol, [1, TICKER, "x"])
        assert isinstance(dropped, events.Dropped)


class TestFaults:
    @pytest.mark.parametrize(
        "frame",
        ["", "nope", "[]", "[1]", "{}", '{"event":7}', "7", "null", '["x",[1]]', "[1.5,[1]]"],
    )
    def test_a_frame_of_no_channel_is_dropped_with_a_reason(self, frame: str) -> None:
        (dropped,) = StreamProtocol(0).receive(frame, 1)
        assert isinstance(dropped, events.Dropped)
        assert dropped.channel is None
        assert dropped.faulty
        assert dropped.reason

    @pytest.mark.parametrize("frame", ["[" * 9000, "\ud800", "9" * 9999])
    def test_absurd_text_is_dropped(self, frame: str) -> None:
        (dropped,) = StreamProtocol(0).receive(frame, 1)
        assert isinstance(dropped, events.Dropped)

    @pytest.mark.parametrize(
        "body", [[[1, 2]], [{}], ["xx", [1]], ["te", TICKER], [None], [[*TICKER[:9], "x"]]]
    )
    def test_a_faulty_frame_of_a_channel_names_it(self, body: list[object]) -> None:
        (dropped,) = told(stream(BTC), [1, *body])
        assert isinstance(dropped, events.Dropped)
        assert dropped.channel == BTC

    def test_numbers_beyond_all_bounds_are_dropped(self) -> None:
        (dropped,) = stream(BTC).receive("[1,[1e999,2,3,4,5,6,7,8,9,10]]", 1)
        assert isinstance(dropped, events.Dropped)

    def test_three_faulty_frames_in_ten_seconds_ask_for_a_new_subscription(self) -> None:
        protocol = stream(BTC, ETH)
        told(protocol, [1, "x"], now=1)
        told(protocol, [2, "x"], now=2)
        told(protocol, [1, "x"], now=3)
        assert told(protocol, [1, "x"], now=11)[1:] == [events.Distrusted(BTC)]
        assert told(protocol, [1, "x"], now=12)[1:] == []

    def test_three_faulty_frames_over_a_longer_time_are_only_counted(self) -> None:
        protocol = stream(BTC)
        for now in (0, 5, 10.1, 15.2, 20.3):
            assert len(told(protocol, [1, "x"], now=now)) == 1

    def test_unreadable_frames_in_a_row_distrust_the_connection(self) -> None:
        protocol = StreamProtocol(0)
        found = told(protocol, "a", "b", "c")
        assert found[-1] == events.Distrusted(None)

    @pytest.mark.parametrize("frame", ['[1,["a"]]', '{"event":"info","version":"2"}'])
    def test_a_reason_stays_short(self, frame: str) -> None:
        (dropped,) = stream(BTC).receive(frame, 1)
        assert isinstance(dropped, events.Dropped)
        assert len(dropped.reason) <= 200


class TestSilence:
    def test_a_connection_without_a_frame_is_silent_after_35_s(self) -> None:
        protocol = StreamProtocol(now=100)
        assert not protocol.is_silent(134.9)
        assert protocol.is_silent(135)

    def test_any_frame_is_life_for_the_connection(self) -> None:
        protocol = StreamProtocol(now=100)
        protocol.receive("junk", 120)
        assert not protocol.is_silent(154)

    def test_heartbeats_are_life_for_their_channel_alone(self) -> None:
        protocol = stream(BTC, ETH)
        for now in (15, 30, 45):
            told(protocol, [1, "hb"], now=now)
        assert protocol.silent_channels(34.9) == []
        assert protocol.silent_channels(46) == [ETH]

    def test_a_request_without_an_answer_is_silent_too(self) -> None:
        protocol = StreamProtocol(0)
        protocol.subscribe(BTC, 10)
        assert protocol.silent_channels(44) == []
        assert protocol.silent_channels(45) == [BTC]
        protocol.subscribe(BTC, 45)
        assert protocol.silent_channels(46) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
WORDS = st.sampled_from(["info", "conf", "subscribed", "unsubscribed", "error", "auth", "pong"])
FIELDS = {
    "chanId": st.integers(0, 4),
    "code": st.sampled_from([10300, 10301, 10305, 10400, 20051, 7, None]),
    "channel": st.sampled_from(["ticker", "trades", "book", "x", None]),
    "symbol": st.sampled_from(["tBTCUSD", "tETHUSD", "", None]),
    "status": JSON,
    "version": JSON,
    "flags": st.sampled_from([0, SEQ_ALL, SEQ_ALL + TIMESTAMP, 1]),
}
EVENTS = st.fixed_dictionaries({"event": WORDS}, optional=FIELDS)
TAGS = st.sampled_from(["hb", "te", "tu", "fte", "ftu", "cs", "xx"])
ARRAYS = st.tuples(st.integers(0, 4), TAGS | JSON, JSON) | st.tuples(st.integers(0, 4), JSON)
ANY_FRAME = st.one_of(JSON, EVENTS, ARRAYS).map(json.dumps) | st.text() | st.binary()


@given(st.lists(ANY_FRAME, max_size=30))
def test_nothing_the_exchange_may_send_raises(frames: list[str | bytes]) -> None:
    protocol = stream(BTC, TRADES, book("tBTCUSD"))
    for now, frame in enumerate(frames):
        found = protocol.receive(frame, now)
        assert found
        assert not protocol.is_silent(now)


@given(st.lists(st.integers(1, 40), max_size=40))
def test_every_lost_number_is_noticed_and_no_other(numbers: list[int]) -> None:
    protocol = stream(BTC, flags=SEQ_ALL)
    rising = sorted(set(numbers))
    found = [event for number in rising for event in told(protocol, [1, "hb", number])]
    gaps = [event for event in found if isinstance(event, events.SequenceGap)]
    assert len(gaps) == sum(late - early > 1 for early, late in pairwise([0, *rising]))
    assert sum(isinstance(event, events.Heartbeat) for event in found) == len(rising)


class TestTheShortWay:
    """Tickers without spaces, as the exchange writes them, are read in one step."""

    @pytest.mark.parametrize(
        "frames",
        [
            pytest.param(
                [[1, TICKER, 1], [2, TICKER, 2], [1, "hb", 3], [1, TICKER, 4]], id="order"
            ),
            pytest.param([[1, TICKER, 1], [1, TICKER, 3], [1, TICKER, 4]], id="gap"),
            pytest.param([[1, TICKER, 2], [1, TICKER, 1], [1, TICKER, 3]], id="out of order"),
            pytest.param([[1, [*TICKER, 11], 1], [1, TICKER, "new", 2]], id="appended fields"),
            pytest.param([[1, TICKER[:-1], 1], [1, [None] * 10, 2], [1, ["x"], 3]], id="values"),
            pytest.param([[1, TICKER], [1, TICKER, 1, 99], [1, [TICKER], 2]], id="other shapes"),
            pytest.param([{"event": "unsubscribed", "chanId": 1}, [1, TICKER, 1]], id="left"),
            pytest.param([[9, TICKER, 1], [3, TICKER, 2], [1, TICKER, 3]], id="other channels"),
        ],
    )
    def test_it_tells_the_same_as_the_long_way(self, frames: list[object]) -> None:
        short, long = (stream(BTC, ETH, TRADES, flags=SEQ_ALL) for _ in range(2))
        compact = [json.dumps(frame, separators=(",", ":")) for frame in frames]
        assert told(short, *compact) == told(long, *frames)

    def test_a_number_given_to_another_channel_belongs_to_that_one(self) -> None:
        protocol = stream(BTC, flags=SEQ_ALL)
        protocol.subscribe(ETH, 1)
        told(protocol, subscribed(ETH, 1))
        (seen,) = told(protocol, "[1,[1,2,3,4,5,6,7,8,9,10],1]")
        assert isinstance(seen, events.TickerSeen)
        assert seen.channel == ETH

    def test_a_ticker_is_a_sign_of_life(self) -> None:
        protocol = stream(BTC, flags=SEQ_ALL)
        told(protocol, "[1,[1,2,3,4,5,6,7,8,9,10],1]", now=30)
        assert protocol.silent_channels(40) == []
