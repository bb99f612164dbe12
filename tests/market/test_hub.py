import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.feeds import Part
from market.frames import text_of
from market.hub import CROWD, SHARED, SLICE, Hub, hub
from market.quotes import FUNDING_FIELDS, FeedStatus, FundingQuote, Quote, encode
from tests.bench.frames import FrameParser

LIVE = FeedStatus(state="live", since=1000, at=1000, sockets=2, wanted=2)
WINDOW = 0.1


class FakeSink:
    """A browser's sink that remembers its frames, and is as busy as the test says."""

    def __init__(self, deflates=False) -> None:
        self.busy = False
        self.deflates = deflates
        self.aborted = False
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    def abort(self) -> None:
        self.aborted = True

    def take(self):
        """The messages since the last call."""
        frames, self.frames = self.frames, []
        return [json.loads(text_of(frame)) for frame in frames]

    def take_last_prices(self):
        """Symbol → last price of the one message since the last call."""
        (message,) = self.take()
        return {row[0]: row[1] for row in message["rows"]}


class BrokenSink(FakeSink):
    def send(self, frame: bytes) -> None:
        if self.frames:
            raise RuntimeError("broken")
        super().send(frame)


def row(symbol, last=1.5, seen=1000):
    return encode(Quote(symbol, last, 1, 2, 3, 0.5, 4, 5, 6, seen, 1)).decode()


def rows(**prices):
    return {symbol: row(symbol, last) for symbol, last in prices.items()}


def flush(target, now=1.0):
    for _ in target.flush(now):
        pass


@pytest.fixture
def market():
    """A hub that knows two symbols, and has nothing left to say."""
    target = Hub(WINDOW)
    target.set_clock(0.0, 1000.0)
    target.apply(rows(tA=1, tB=1), LIVE, now=0.0, full=True)
    target.tick(0.0)
    flush(target, 0.0)
    return target


def join(target, symbols=None, now=0.5):
    sink = FakeSink()
    reader = target.join(sink, None if symbols is None else frozenset(symbols), now)
    sink.take()
    return sink, reader


# Snapshots


def test_first_frame_is_a_snapshot_of_every_row(market):
    sink = FakeSink()
    market.join(sink, None, 2.5)
    (message,) = sink.take()
    assert message == {
        "seq": 1,
        "snapshot": True,
        "now": 1002500,
        "fields": list(FUNDING_FIELDS),
        "feed": msgspec.to_builtins(LIVE),
        "rows": [json.loads(row("tA", 1)), json.loads(row("tB", 1))],
    }


def test_snapshot_of_a_list_has_only_those_rows(market):
    sink = FakeSink()
    market.join(sink, frozenset({"tB", "tUnknown"}), 1.0)
    assert sink.take_last_prices() == {"tB": 1}


def test_snapshot_has_rows_that_are_not_flushed_yet(market):
    market.apply(rows(tA=2), LIVE, 1.0)
    sink = FakeSink()
    market.join(sink, None, 1.0)
    assert sink.take_last_prices() == {"tA": 2, "tB": 1}


def test_second_snapshot_between_two_flushes_loses_nothing(market):
    join(market)
    market.apply(rows(tA=2), LIVE, 1.0)
    sink = FakeSink()
    market.join(sink, None, 1.0)
    flush(market)
    prices = [{each[0]: each[1] for each in message["rows"]} for message in sink.take()]
    assert prices[0] | prices[1] == {"tA": 2, "tB": 1}


def test_subscribing_anew_answers_with_a_snapshot_of_the_new_list(market):
    sink, reader = join(market)
    market.subscribe(reader, frozenset({"tA"}), 1.0)
    assert sink.take_last_prices() == {"tA": 1}
    market.apply(rows(tB=5), LIVE, 1.0)
    flush(market)
    assert sink.take() == []


def test_resync_answers_with_a_snapshot(market):
    sink, reader = join(market)
    market.resync(reader, 1.0)
    assert sink.take()[0]["snapshot"] is True


def test_resync_of_one_who_has_left_is_nothing(market):
    sink, reader = join(market)
    market.leave(reader)
    market.resync(reader, 1.0)
    assert sink.take() == []


# Flushes


def test_a_change_goes_out_once_to_everyone_in_the_same_bytes(market):
    alice, _ = join(market)
    bob, _ = join(market)
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    assert alice.frames[0] is bob.frames[0]
    assert alice.take() == [{"seq": 2, "rows": [json.loads(row("tA", 2))]}]


def test_only_the_newest_value_of_a_window_goes_out(market):
    sink, _ = join(market)
    for price in range(2, 50):
        market.apply(rows(tA=price), LIVE, 1.0)
    flush(market)
    assert sink.take_last_prices() == {"tA": 49}


def test_different_lists_get_their_own_rows_only(market):
    alice, _ = join(market, {"tA"})
    bob, _ = join(market, {"tB"})
    both, _ = join(market, {"tA", "tB"})
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    assert (len(alice.frames), len(bob.frames)) == (1, 0)
    assert both.take_last_prices() == {"tA": 2}


def test_equal_lists_share_one_frame(market):
    alice, _ = join(market, ["tA", "tB"])
    bob, _ = join(market, ["tB", "tA"])
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    assert alice.frames[0] is bob.frames[0]


def test_a_row_that_did_not_change_costs_nothing(market):
    market.apply(rows(tA=1, tB=1), LIVE, 5.0, full=True)
    assert market.due(5.0) is None


def test_first_change_is_due_at_once_and_the_next_at_the_end_of_the_window(market):
    assert market.due(1.0) is None
    market.apply(rows(tA=2), LIVE, 1.0)
    assert market.due(1.0) == 0.0
    flush(market, 1.0)
    market.apply(rows(tA=3), LIVE, 1.03)
    assert market.due(1.03) == pytest.approx(0.07)
    assert market.due(1.2) == 0.0


def test_sequence_numbers_are_contiguous_for_who_keeps_up(market):
    sink = FakeSink()
    market.join(sink, None, 0.5)
    for price in range(2, 12):
        market.apply(rows(tA=price), LIVE, 1.0)
        flush(market)
    assert [message["seq"] for message in sink.take()] == list(range(1, 12))


def test_many_browsers_are_served_in_slices(market):
    sinks = [join(market)[0] for _ in range(2 * SLICE + 1)]
    market.apply(rows(tA=2), LIVE, 1.0)
    served = []
    for _ in market.flush(1.0):
        served.append(sum(len(sink.frames) for sink in sinks))
    assert served == [SLICE, 2 * SLICE]
    assert all(sink.take_last_prices() == {"tA": 2} for sink in sinks)


def test_what_happens_between_two_slices_repeats_and_loses_nothing(market):
    crowd = [join(market) for _ in range(2 * SLICE)]
    market.apply(rows(tA=2), LIVE, 1.0)
    slices = market.flush(1.0)
    next(slices)
    sink, reader = next(pair for pair in crowd if not pair[0].frames)
    market.resync(reader, 1.0)
    gone, leaver = next(pair for pair in crowd if not pair[0].frames)
    market.leave(leaver)
    moved, mover = next(pair for pair in crowd if not pair[0].frames and pair[1] is not leaver)
    market.subscribe(mover, frozenset({"tB"}), 1.0)
    newcomer = FakeSink()
    market.join(newcomer, None, 1.0)
    for _ in slices:
        pass
    assert (sink.take_last_prices(), gone.frames) == ({"tA": 2, "tB": 1}, [])
    assert (moved.take_last_prices(), len(newcomer.frames)) == ({"tB": 1}, 1)


def test_a_broken_sink_is_dropped_and_the_others_get_their_prices(market):
    broken = BrokenSink()
    market.join(broken, None, 0.5)
    sinks = [join(market)[0] for _ in range(5)]
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    assert broken.aborted
    assert all(sink.take_last_prices() == {"tA": 2} for sink in sinks)


# Compression


def inflated(frames):
    parser = FrameParser(deflate=True)
    return [json.loads(parser.receive(frame)[0].payload) for frame in frames]


def test_browsers_that_agreed_share_one_compressed_frame_and_others_a_plain_one(market):
    plain, _ = join(market)
    alice, bob = FakeSink(deflates=True), FakeSink(deflates=True)
    for sink in (alice, bob):
        market.join(sink, None, 0.5)
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    assert alice.frames[1] is bob.frames[1]
    assert inflated(alice.frames)[1] == plain.take()[0]


def test_snapshots_and_merged_frames_are_compressed_too(market):
    sink, plain = FakeSink(deflates=True), FakeSink()
    reader = market.join(sink, None, 0.5)
    market.join(plain, None, 0.5)
    sink.busy = True
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    sink.busy = False
    market.drained(reader, 2.0)
    snapshot, merged = inflated(sink.frames)
    assert snapshot == plain.take()[0]
    assert merged["rows"] == [json.loads(row("tA", 2))]


def test_with_many_subscriptions_only_shared_frames_are_compressed(market):
    crowd = [FakeSink(deflates=True) for _ in range(CROWD + 1)]
    for number, sink in enumerate(crowd):
        market.join(sink, frozenset({"tA", f"tX{number}"}), 0.5)
    shared = [FakeSink(deflates=True) for _ in range(SHARED)]
    for sink in shared:
        market.join(sink, None, 0.5)
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    assert json.loads(text_of(crowd[0].frames[1]))["seq"] == inflated(shared[0].frames)[1]["seq"]


# Slow readers


def test_a_busy_reader_gets_nothing_and_then_one_frame_of_all_that_changed(market):
    sink, reader = join(market)
    sink.busy = True
    for price in range(2, 20):
        market.apply(rows(tA=price, tB=price if price < 5 else 4), LIVE, 1.0)
        flush(market)
    assert sink.frames == []
    sink.busy = False
    market.drained(reader, 3.0)
    assert sink.take_last_prices() == {"tA": 19, "tB": 4}


def test_the_merged_frame_has_only_what_changed_since_and_the_state_of_the_feed(market):
    sink, reader = join(market)
    sink.busy = True
    market.apply(rows(tB=2), LIVE, 1.0)
    flush(market)
    sink.busy = False
    market.drained(reader, 3.0)
    (message,) = sink.take()
    assert message["seq"] == market.seq
    assert message["rows"] == [json.loads(row("tB", 2))]
    assert (message["now"], message["feed"]["state"]) == (1003000, "live")


def test_a_merged_frame_keeps_to_the_readers_list(market):
    sink, reader = join(market, {"tA", "tUnknown"})
    sink.busy = True
    market.apply(rows(tA=2, tB=2), LIVE, 1.0)
    flush(market)
    market.drained(reader, 3.0)
    assert sink.take_last_prices() == {"tA": 2}


def test_draining_when_nothing_was_missed_sends_nothing(market):
    sink, reader = join(market)
    market.drained(reader, 1.0)
    sink.busy = True
    market.resync(reader, 1.0)
    reader.needs_snapshot = False  # as if nothing had been asked
    market.drained(reader, 2.0)
    assert sink.frames == []


def test_after_draining_the_reader_follows_again(market):
    sink, reader = join(market)
    sink.busy = True
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    sink.busy = False
    market.drained(reader, 1.0)
    sink.take()
    market.apply(rows(tB=2), LIVE, 2.0)
    flush(market)
    assert sink.take_last_prices() == {"tB": 2}


def test_a_snapshot_asked_while_busy_comes_once_after_draining(market):
    sink, reader = join(market)
    sink.busy = True
    market.resync(reader, 1.0)
    market.subscribe(reader, frozenset({"tB"}), 1.0)
    assert sink.frames == []
    sink.busy = False
    market.drained(reader, 2.0)
    (message,) = sink.take()
    assert (message["snapshot"], len(message["rows"])) == (True, 1)


def test_a_reader_behind_for_more_than_thirty_seconds_is_dropped(market):
    sink, _ = join(market)
    other, _ = join(market)
    sink.busy = True
    market.apply(rows(tA=2), LIVE, 10.0)
    flush(market, 10.0)
    market.tick(40.0)
    assert not sink.aborted
    market.tick(40.1)
    assert (sink.aborted, other.aborted, market.dropped, market.readers) == (True, False, 1, 1)


def test_the_pulse_finds_a_stuck_reader_in_a_quiet_market(market):
    sink, _ = join(market)
    sink.busy = True
    for second in range(11, 46):
        market.apply({}, LIVE, second)
        market.tick(second)
        if market.due(second) == 0:
            flush(market, second)
    assert sink.aborted


def test_who_left_while_behind_is_forgotten(market):
    sink, reader = join(market)
    sink.busy = True
    market.apply(rows(tA=2), LIVE, 1.0)
    flush(market)
    market.leave(reader)
    market.leave(reader)
    market.drained(reader, 2.0)
    market.tick(100.0)
    assert (sink.frames, sink.aborted, market.readers) == ([], False, 0)


# The state of the feed


def test_a_new_state_of_the_feed_goes_to_everyone(market):
    sink, _ = join(market, {"tA"})
    offline = FeedStatus(state="offline", since=5, at=5, retry_at=9, reason="cannot reach Bitfinex")
    market.apply({}, offline, 1.0)
    assert market.due(1.0) == 0.0
    flush(market)
    assert sink.take()[0]["feed"] == msgspec.to_builtins(offline)
    assert market.status == offline


def test_a_batch_without_news_is_no_frame(market):
    market.apply({}, msgspec.structs.replace(LIVE, at=6000), 5.0)
    assert market.due(5.0) is None
    assert market.status.at == 6000


def test_a_behind_reader_learns_the_new_state_when_it_drains(market):
    sink, reader = join(market, {"tA"})
    sink.busy = True
    market.apply({}, msgspec.structs.replace(LIVE, state="stale"), 1.0)
    flush(market)
    market.drained(reader, 2.0)
    (message,) = sink.take()
    assert (message["feed"]["state"], message["rows"]) == ("stale", [])


def test_every_ten_seconds_there_is_a_pulse_with_the_time(market):
    sink, _ = join(market)
    market.apply({}, LIVE, 9.0)
    market.tick(9.9)
    assert market.due(9.9) is None
    market.tick(10.0)
    flush(market, 10.0)
    (message,) = sink.take()
    assert (message["now"], message["rows"]) == (1010000, [])


def test_a_silent_feed_is_said_to_be_stale_since_its_last_word(market):
    sink, _ = join(market)
    market.tick(15.0)
    flush(market, 15.0)
    assert sink.take()[0]["feed"]["state"] == "live"
    market.tick(15.1)
    flush(market, 15.1)
    feed = sink.take()[0]["feed"]
    assert (feed["state"], feed["since"], feed["reason"]) == (
        "stale",
        1000000,
        "no news from the price feed",
    )
    assert not market.complete


def test_a_feed_that_speaks_again_is_believed_again(market):
    market.tick(20.0)
    market.apply({}, LIVE, 21.0)
    assert market.status.state == "live"


def test_before_the_first_batch_the_hub_is_connecting_however_long_it_takes():
    target = Hub(WINDOW)
    target.set_clock(0.0, 1000.0)
    target.tick(100.0)
    target.set_clock(100.0, 1100.0)
    assert (target.status.state, target.status.since) == ("connecting", 1000000)


def test_a_wall_clock_that_jumps_moves_no_deadline(market):
    sink, _ = join(market)
    market.set_clock(1.0, 5000.0)
    market.apply(rows(tA=2), LIVE, 1.0)
    assert market.due(1.0) == 0.0
    market.tick(1.0)
    assert (sink.aborted, market.status.state) == (False, "live")


# What is asked of the feed


def test_a_whole_table_is_wanted_until_it_comes():
    target = Hub(WINDOW)
    target.apply(rows(tA=1), LIVE, 0.0)
    assert not target.complete
    target.apply({}, LIVE, 0.0, full=True)  # the feed itself has only just started
    assert not target.complete
    target.apply(rows(tA=1), LIVE, 0.0, full=True)
    assert target.complete


def test_watched_symbols_are_those_on_any_screen_most_watched_first(market):
    _, alice = join(market)
    _, bob = join(market)
    market.watch(alice, frozenset({"tA", "tB"}))
    market.watch(bob, frozenset({"tB"}))
    assert market.watched() == ["tB", "tA"]
    market.watch(alice, frozenset({"tA"}))
    market.leave(bob)
    assert market.watched() == ["tA"]


# Questions


def test_symbols_outside_the_whole_table_are_unknown(market):
    assert market.unknown(["tA", "tNO", "<script>"]) == ["tNO", "<script>"]


def test_without_a_whole_table_only_what_is_no_symbol_is_unknown():
    assert Hub(WINDOW).unknown(["tBTCUSD", "fUSD", "<script>"]) == ["<script>"]


def test_rows_are_decoded_for_pages(market):
    funding = FundingQuote("fUSD", 0.1, 1, 2, 3, 0.5, 4, 5, 6, 1000, 1, 0.2, 2, 30)
    market.apply({"fUSD": encode(funding).decode()}, LIVE, 1.0)
    assert [quote.symbol for quote in market.rows()] == ["tA", "tB", "fUSD"]
    assert market.quote("fUSD") == funding
    assert market.quote("tNO") is None


def test_age_counts_from_when_the_value_was_seen(market):
    market.apply({"tA": row("tA", 2, seen=5000)}, LIVE, 1.0)
    assert market.age("tA", 7.5) == 2.5
    assert market.age("tNO", 7.5) is None


def test_saved_rows_are_shown_only_as_long_as_there_are_no_others(market):
    market.load(rows(tOLD=1))
    assert market.quote("tOLD") is None
    fresh = Hub(WINDOW)
    fresh.load(rows(tOLD=1))
    assert fresh.quote("tOLD") is not None


def test_a_process_has_one_hub():
    assert hub() is hub()


# Whatever happens, everyone ends with the newest table

NAMES = ["tA", "tB", "tC"]


def act(target, reader, word, number, price):
    if word == "price":
        target.apply(rows(**{NAMES[number]: price}), LIVE, 1.0)
    elif word == "flush" and target.due(1.0) is not None:
        flush(target)
    elif word == "stall":
        reader.sink.busy = True
    elif word == "drain":
        reader.sink.busy = False
        target.drained(reader, 1.0)
    elif word == "resync":
        target.resync(reader, 1.0)
    elif word == "move":
        target.subscribe(reader, frozenset(NAMES) if price % 2 else None, 1.0)


def replayed(messages):
    """What a browser has in its table after these messages, whose numbers must rise."""
    table: dict[str, float] = {}
    last = -1
    for message in messages:
        assert message["seq"] > last or "snapshot" in message
        last = message["seq"]
        before = {} if "snapshot" in message else table
        table = before | {each[0]: each[1] for each in message["rows"]}
    return table


words = st.sampled_from(["price", "flush", "stall", "drain", "resync", "move"])


@given(steps=st.lists(st.tuples(words, st.integers(0, 2), st.integers(0, 99)), max_size=60))
def test_every_reader_converges_to_the_newest_values(steps):
    target = Hub(0.0)
    sinks = [FakeSink() for _ in NAMES]
    readers = [target.join(sink, None, 0.0) for sink in sinks]
    for word, number, price in steps:
        act(target, readers[number], word, number, price)
    flush(target)
    for sink, reader in zip(sinks, readers, strict=True):
        sink.busy = False
        target.drained(reader, 1.0)
        assert replayed(sink.take()) == {each.symbol: each.last for each in target.rows()}


def test_with_several_feeds_the_table_is_whole_only_with_all_of_them():
    market = Hub(window=0.1)
    market.apply(rows(tA=1), LIVE, 0.0, full=True, part=Part(0, 2))
    assert not market.complete
    assert market.status.state == "connecting"
    market.apply(rows(tB=1), LIVE, 0.0, full=True, part=Part(1, 2))
    assert market.complete
    assert market.status.state == "live"


def test_symbols_that_are_not_traded_any_more_leave_the_table_and_the_browsers(market):
    sink = FakeSink()
    market.join(sink, None, 1.0)
    sink.take()
    market.apply(rows(tA=1), LIVE, 2.0, full=True)
    (message,) = sink.take()
    assert message["snapshot"]
    assert [row[0] for row in message["rows"]] == ["tA"]
    assert market.unknown(["tB"]) == ["tB"]


def test_a_whole_table_of_a_feed_that_is_not_live_takes_nothing_away(market):
    offline = FeedStatus(state="offline", since=1, at=1)
    market.apply(rows(tA=3), offline, 2.0, full=True)
    assert len(market.rows()) == 2
