"""Every symbol gets its ticker, the watched and busiest their trades, and what is live stays."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from market.bitfinex.events import Channel
from market.bitfinex.messages import AnyTicker, FundingTicker, Ticker
from market.bitfinex.symbols import trading_symbols
from market.feed.plan import CHANNELS, CONNECTIONS, by_volume, in_range, pack, wishes


def ticker(last: float, volume: float) -> Ticker:
    return Ticker(1, 1, 1, 1, 0, 0, last, volume, 1, 1)


def funding(volume: float) -> FundingTicker:
    return FundingTicker(0, 0, 2, 0, 0, 2, 0, 0, 0, 0.0002, volume, 0, 0)


def channels(count: int) -> list[Channel]:
    return [Channel("ticker", f"t{number:03}USD") for number in range(count)]


class TestOrder:
    def test_volume_counts_in_dollars_whatever_the_quote_currency(self) -> None:
        tickers = {
            "tBTCUSD": ticker(50_000, 10),
            "tETHUSD": ticker(3_000, 100),
            "tETHBTC": ticker(0.06, 900),
            "tBTCJPY": ticker(5_000_000, 1),
            "tXAUT:BTC": ticker(0.04, 1),
        }
        order = ["tETHBTC", "tBTCUSD", "tETHUSD", "tBTCJPY", "tXAUT:BTC"]
        assert by_volume(reversed(order), tickers) == order

    def test_funding_stands_among_pairs_by_its_own_volume(self) -> None:
        tickers: dict[str, AnyTicker] = {"fUSD": funding(1e6), "fBTC": funding(1)}
        tickers["tBTCUSD"] = ticker(50_000, 10)
        assert by_volume(tickers, tickers) == ["fUSD", "tBTCUSD", "fBTC"]

    def test_unknown_worth_comes_late_and_paper_last(self) -> None:
        tickers = {"tTESTBTC:TESTUSD": ticker(50_000, 99), "tBTCUSD": ticker(50_000, 1)}
        symbols = ["tTESTBTC:TESTUSD", "tAAABBB", "tXYZABC", "tBTCUSD"]
        assert by_volume(symbols, tickers) == ["tBTCUSD", "tXYZABC", "tAAABBB", symbols[0]]

    def test_a_missing_price_is_worth_nothing(self) -> None:
        silent = Ticker(None, None, None, None, None, None, None, None, None, None)
        order = by_volume(["tAAVE:USD", "tBTCUSD"], {"tAAVE:USD": silent, "tBTCUSD": ticker(1, 1)})
        assert order == ["tBTCUSD", "tAAVE:USD"]

    def test_what_is_too_large_for_a_float_is_worth_nothing(self) -> None:
        tickers = {
            "tAAVE:USD": ticker(1, 10**400),
            "tETHUSD": ticker(10**400, 1),
            "tLTCUSD": ticker(1e300, 1e300),
            "tBTCUSD": ticker(1, 1),
        }
        order = ["tBTCUSD", "tAAVE:USD", "tETHUSD", "tLTCUSD"]
        assert by_volume(reversed(order), tickers) == order


class TestWishes:
    def test_every_symbol_gets_a_ticker_and_the_busiest_their_trades(self) -> None:
        symbols = [f"t{number:03}USD" for number in range(300)]
        wanted = wishes(symbols, ())
        assert [ch.target for ch in wanted if ch.name == "ticker"] == symbols
        assert [ch.target for ch in wanted if ch.name == "trades"] == symbols[:75]
        assert len(wanted) == CONNECTIONS * CHANNELS

    def test_what_is_watched_comes_first_with_its_trades(self) -> None:
        symbols = [f"t{number:03}USD" for number in range(300)]
        wanted = wishes(symbols, {"t299USD", "tUNKNOWN"})
        assert wanted[:2] == [Channel("ticker", "t299USD"), Channel("trades", "t299USD")]
        assert len(wanted) == CONNECTIONS * CHANNELS
        assert Channel("trades", "t074USD") not in wanted

    def test_funding_and_paper_get_trades_only_when_watched(self) -> None:
        symbols = ["tBTCUSD", "fUSD", "fBTC", "tTESTBTC:TESTUSD"]
        trades = [ch.target for ch in wishes(symbols, {"fUSD"}) if ch.name == "trades"]
        assert trades == ["fUSD", "tBTCUSD"]

    def test_more_symbols_than_connections_reach_keep_their_tickers_and_a_few_trades(self) -> None:
        symbols = [f"t{number:03}USD" for number in range(500)]
        wanted = wishes(symbols, symbols)
        assert sum(channel.name == "ticker" for channel in wanted) == 500
        assert sum(channel.name == "trades" for channel in wanted) == 25

    def test_the_real_list_fits_the_connections(self, recordings: Path) -> None:
        lists = json.loads((recordings / "rest/2021-04-17_conf_pub_lists.json").read_text())
        (pairs,) = [v["body"][0] for url, v in lists.items() if url.endswith("pair:exchange")]
        symbols = trading_symbols(pairs) + [f"fCUR{number}" for number in range(20)]
        packed = pack([], wishes(symbols, ()), [])
        assert len(packed) == CONNECTIONS
        assert max(map(len, packed)) == CHANNELS


class TestRanges:
    def test_each_symbol_belongs_to_one_range(self) -> None:
        for symbol in ("tBTCUSD", "tETHUSD", "fUSD", "tAVAX:USD"):
            assert sum(in_range(symbol, range_, 3) for range_ in range(3)) == 1
            assert in_range(symbol, 0, 1)

    def test_ranges_are_of_similar_size(self) -> None:
        sizes = [sum(in_range(f"t{n:03}USD", r, 4) for n in range(400)) for r in range(4)]
        assert min(sizes) > 70


class TestPacking:
    def test_connections_are_filled_in_order(self) -> None:
        wanted = channels(30)
        assert pack([], wanted, []) == [wanted[:25], wanted[25:]]

    def test_what_is_no_longer_wanted_makes_room(self) -> None:
        old, new = channels(25), Channel("trades", "tBTCUSD")
        (packed,) = pack([old], [*old[1:], new], [25])
        assert packed == [*old[1:], new]

    def test_an_empty_connection_may_close(self) -> None:
        one, two = channels(25), [Channel("trades", "tBTCUSD")]
        assert pack([one, two], one, [25, 25]) == [one, []]

    def test_a_connection_that_is_full_early_takes_no_more(self) -> None:
        wanted = channels(30)
        packed = pack([wanted[:20]], wanted, [20])
        assert packed == [wanted[:20], wanted[20:]]

    @given(st.data())
    def test_re_packing_keeps_what_is_live_and_never_overfills(self, data: st.DataObject) -> None:
        pool = channels(120)
        placed: list[list[Channel]] = []
        for _ in range(data.draw(st.integers(1, 6))):
            wanted = data.draw(st.lists(st.sampled_from(pool), max_size=100, unique=True))
            packed = pack(placed, wanted, [CHANNELS] * len(placed))
            carried = [channel for item in packed for channel in item]
            assert sorted(map(str, carried)) == sorted(map(str, wanted))
            assert all(len(item) <= CHANNELS for item in packed)
            for before, after in zip(placed, packed, strict=False):
                assert set(before) & set(wanted) <= set(after)
            placed = packed
