from market.history import DAY_MS, FIRST_STEP_MS, POINTS, History
from tests.market.test_listing import quote


def test_prices_are_kept_once_a_step():
    history = History()
    for now in (0, 1000, FIRST_STEP_MS, FIRST_STEP_MS + 1):
        history.sample([quote("tBTCUSD", now)], now)
    assert history.table()["prices"] == {"tBTCUSD": [0, FIRST_STEP_MS]}


def test_a_symbol_that_came_later_has_no_price_before():
    history = History()
    history.sample([quote("tBTCUSD", 1)], 0)
    history.sample([quote("tETHUSD", 2), quote("tBTCUSD", 3)], FIRST_STEP_MS)
    assert history.table()["prices"] == {"tBTCUSD": [1, 3], "tETHUSD": [None, 2]}


def fill(history, until_ms):
    now = 0
    while now < until_ms:
        history.sample([quote("tBTCUSD", now)], now)
        now += history.step_ms
    return history.table()


def test_a_full_history_gets_half_as_dense_and_keeps_its_beginning():
    table = fill(History(), 2 * POINTS * FIRST_STEP_MS)
    assert table["step"] == 2 * FIRST_STEP_MS
    assert table["times"][0] == 0
    assert table["times"] == table["prices"]["tBTCUSD"]


def test_a_history_never_holds_more_than_its_points():
    assert len(fill(History(), 3 * DAY_MS)["times"]) <= POINTS


def test_after_a_day_the_oldest_price_goes():
    history = History()
    table = fill(history, 3 * DAY_MS)
    assert history.step_ms * POINTS >= DAY_MS
    assert 3 * DAY_MS - table["times"][0] <= 2 * DAY_MS
