from itertools import islice

import pytest

from market.sandbox.history import DAY, HOUR, MINUTE, Character, History, bucket, merge

START = 1_790_134_414_850  # a Wednesday, 03:33:34 UTC
BUSY = Character(volatility=0.04, day_volume=10**12, trades_per_minute=40)
QUIET = Character(volatility=0.06, day_volume=10**12, trades_per_minute=0.1)


def history(character: Character = BUSY, start: int = START) -> History:
    return History("seed", start, 58630.0, character)


@pytest.mark.parametrize("character", [BUSY, QUIET], ids=["busy", "quiet"])
@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h", "12h"])
def test_the_parts_of_a_day_are_exactly_the_day(timeframe: str, character: Character) -> None:
    past = history(character)

    for day in islice(past.candles("1D", 0, START), 3):
        parts = list(past.candles(timeframe, day.mts, day.mts + DAY - 1))
        assert merge(parts)._replace(mts=day.mts) == day


def test_the_past_ends_at_the_price_of_the_start() -> None:
    assert {next(history().candles(tf, 0, START)).close for tf in ("1m", "1h", "1D")} == {58630}


def test_trades_enter_every_timeframe() -> None:
    past = history()
    past.add(START, 59999.0, 100)

    for timeframe in ("1m", "1h", "1D", "1W"):
        candle = next(past.candles(timeframe, 0, START))
        assert (candle.close, candle.high) == (59999, max(59999, candle.high))


def test_live_candles_go_on_where_the_past_ended() -> None:
    past = history()
    hour = next(past.candles("1h", 0, START))
    past.add(START + 1000, 58640.0, 500)

    assert next(past.candles("1h", 0, START + 1000)) == hour.with_trade(58640.0, 500)


def test_candles_are_bounded_by_time_and_newest_first() -> None:
    times = [c.mts for c in history().candles("1h", START - 5 * HOUR, START - 2 * HOUR)]

    assert times == sorted(times, reverse=True)
    assert all(START - 5 * HOUR <= mts <= START - 2 * HOUR for mts in times)
    assert len(times) == 3


def test_quiet_markets_skip_empty_minutes() -> None:
    times = [c.mts for c in islice(history(QUIET).candles("1m", 0, START), 30)]

    assert all(mts % MINUTE == 0 for mts in times)
    assert len(set(times)) == 30
    assert times[0] - times[-1] > 30 * MINUTE


@pytest.mark.parametrize(
    "start", [START - START % DAY, START - START % HOUR, START - START % DAY + 1]
)
def test_a_market_may_start_at_midnight_or_on_the_hour(start: int) -> None:
    past = history(start=start)

    assert past.day(start).close == 58630.0
    assert merge(list(islice(past.candles("1m", 0, start), 1000))).close == 58630.0


def test_the_same_seed_gives_the_same_past() -> None:
    first, second = (list(islice(history().candles("5m", 0, START), 500)) for _ in range(2))

    assert first == second


def test_weeks_begin_on_mondays_and_months_on_their_first() -> None:
    assert bucket(START, "1W") == START - START % DAY - 2 * DAY
    assert bucket(1_790_134_414_850, "1M") == 1_788_220_800_000
