"""A row is live while its ticker channel is heard, and says so truthfully otherwise."""

import pytest

from market.bitfinex import events
from market.bitfinex.events import Channel
from market.bitfinex.messages import Ticker, Trade
from market.feed.table import Table
from market.quotes import Quote, Source
from tests.market.feed.fakes import FakeClock

BTC = Channel("ticker", "tBTCUSD")
TRADES = Channel("trades", "tBTCUSD")


def ticker(last: float = 100) -> Ticker:
    return Ticker(99, 1, 101, 1, 0, 0, last, 5, 110, 90)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def table(clock: FakeClock) -> Table:
    table = Table(clock, lambda: None)
    table.hear(events.TickerSeen(BTC, ticker()))
    return table


def row(table: Table, symbol: str = "tBTCUSD") -> Quote:
    quote = table.book.get(symbol)
    assert quote is not None
    return quote


def test_a_ticker_makes_its_row_live_and_dates_it_by_the_wall_clock(
    table: Table, clock: FakeClock
) -> None:
    assert (row(table).source, row(table).seen) == (Source.LIVE, clock.wall_ms())


def test_every_change_is_told() -> None:
    told: list[int] = []
    table = Table(FakeClock(), lambda: told.append(1))
    table.hear(events.TickerSeen(BTC, ticker()))
    table.hear(events.Notice(None, "pong"))
    table.lose([BTC])
    assert len(told) == 2


def test_a_lost_channel_keeps_its_last_values_marked_stale(table: Table) -> None:
    table.lose([BTC])
    assert (row(table).source, row(table).last) == (Source.STALE, 100)


def test_losing_the_trades_alone_leaves_the_row_live(table: Table) -> None:
    table.lose([TRADES])
    assert row(table).source == Source.LIVE


def test_leaving_a_channel_makes_its_row_stale(table: Table) -> None:
    table.hear(events.Unsubscribed(BTC))
    assert row(table).source == Source.STALE


def test_a_heartbeat_vouches_only_for_what_its_own_channel_has_told(
    table: Table, clock: FakeClock
) -> None:
    before = row(table).seen
    clock.go(20)
    table.hear(events.Heartbeat(BTC))
    assert (row(table).source, row(table).seen) == (Source.LIVE, before)
    table.lose([BTC])
    table.hear(events.Heartbeat(BTC))
    assert row(table).source == Source.STALE
    assert not table.any_live


def test_what_is_not_traded_any_more_is_forgotten(table: Table) -> None:
    table.keep_only(["tETHUSD"])
    assert "tBTCUSD" not in table.book.symbols()
    assert not table.any_live


def test_a_heartbeat_of_trades_vouches_for_nothing(table: Table) -> None:
    table.lose([BTC])
    table.hear(events.Heartbeat(TRADES))
    table.hear(events.TradeSeen(TRADES, Trade(1, 1, 1, 105)))
    assert (row(table).source, row(table).last) == (Source.STALE, 105)


def test_of_the_trades_at_subscribing_the_newest_counts(table: Table) -> None:
    trades = (Trade(8, 20, 1, 106), Trade(9, 30, 1, 107), Trade(7, 10, 1, 105))
    table.hear(events.TradesSeen(TRADES, trades))
    assert row(table).last == 107
    table.hear(events.TradesSeen(TRADES, ()))
    assert row(table).last == 107


def test_rest_fills_what_is_missing_and_never_replaces_what_is_live(table: Table) -> None:
    table.lose([Channel("ticker", "tLTCUSD")])
    tickers = {symbol: ticker(1) for symbol in ("tBTCUSD", "tETHUSD", "tNOTLISTED")}
    table.fill(tickers, ["tBTCUSD", "tETHUSD", "tUNKNOWN"])
    assert row(table).last == 100
    assert row(table, "tETHUSD").source == Source.SNAPSHOT
    assert set(table.book.symbols()) == {"tBTCUSD", "tETHUSD"}


def test_rest_refreshes_a_stale_row_as_a_snapshot(table: Table) -> None:
    table.lose([BTC])
    table.fill({"tBTCUSD": ticker(101)}, ["tBTCUSD"])
    assert (row(table).source, row(table).last) == (Source.SNAPSHOT, 101)


@pytest.mark.parametrize("event", [events.MaintenanceBegan(), events.Welcomed("", operative=False)])
def test_in_maintenance_nothing_is_live(table: Table, event: events.Event) -> None:
    table.hear(event)
    assert row(table).source == Source.STALE
    table.hear(events.Heartbeat(BTC))
    table.hear(events.TickerSeen(BTC, ticker(102)))
    table.fill({"tETHUSD": ticker()}, ["tETHUSD"])
    assert (row(table).source, row(table, "tETHUSD").source) == (Source.STALE, Source.STALE)


@pytest.mark.parametrize("event", [events.MaintenanceEnded(), events.Welcomed("", operative=True)])
def test_after_maintenance_the_next_frame_is_live(table: Table, event: events.Event) -> None:
    table.begin_maintenance()
    table.hear(event)
    assert row(table).source == Source.STALE
    table.hear(events.Heartbeat(BTC))
    assert row(table).source == Source.LIVE
    assert not table.maintenance


def test_saved_rows_are_stale(table: Table, clock: FakeClock) -> None:
    later = Table(clock, lambda: None)
    later.load(table.book.take_all())
    assert row(later).source == Source.STALE
