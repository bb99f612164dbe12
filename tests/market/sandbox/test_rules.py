import pytest

from market.sandbox.rules import DEFAULT_RATES, Rates, Rules

HOME, AWAY = "127.0.0.1", "127.0.0.2"


def served(rules: Rules, endpoint: str, *times: float, address: str = HOME) -> list[bool]:
    return [rules.request(address, endpoint, now) for now in times]


def test_the_documented_number_of_requests_is_served_and_the_next_blocks() -> None:
    rules = Rules(Rates())
    number = DEFAULT_RATES["tickers"]

    assert all(served(rules, "tickers", *[1000.0 + i for i in range(number)]))
    assert not rules.request(HOME, "tickers", 1059.9)
    assert rules.counters.violations == {"rest_rate": 1}


def test_a_block_holds_for_every_endpoint_of_the_address_for_a_minute_and_no_longer() -> None:
    rules = Rules(Rates.read('{"rates": {"book": 1}}'))

    assert served(rules, "book", 0, 1) == [True, False]
    assert served(rules, "conf", 2, 60.9) == [False, False]
    assert rules.request(AWAY, "conf", 3)
    assert rules.request(HOME, "conf", 61)
    assert rules.counters.requests_while_blocked == 2


def test_the_window_slides_so_that_two_half_minutes_cannot_hide_a_burst() -> None:
    rules = Rules(Rates.read('{"rates": {"ticker": 4}}'))

    assert served(rules, "ticker", 55, 56, 58, 59, 61) == [True, True, True, True, False]


def test_a_request_leaves_the_window_after_exactly_a_minute() -> None:
    rules = Rules(Rates.read('{"rates": {"ticker": 2}}'))

    assert served(rules, "ticker", 0, 30, 60, 90, 119.9) == [True, True, True, True, False]


def test_each_endpoint_has_its_own_rate() -> None:
    rules = Rules(Rates.read('{"rates": {"conf": 1, "book": 1}}'))

    assert served(rules, "conf", 0) == served(rules, "book", 0) == [True]


def test_the_twenty_first_connection_in_a_minute_is_refused_for_a_minute() -> None:
    rules = Rules(Rates())

    assert all(rules.connect(HOME, i / 10) for i in range(20))
    assert [rules.connect(HOME, now) for now in (2, 61, 62.1)] == [False, False, True]
    assert rules.counters.violations == {"ws_rate": 1, "ws_blocked": 1}
    assert rules.request(HOME, "conf", 3), "too many sockets do not block REST"


def test_an_address_blocked_for_its_requests_may_not_connect_either() -> None:
    rules = Rules(Rates.read('{"rates": {"conf": 0}}'))

    rules.request(HOME, "conf", 0)
    assert not rules.connect(HOME, 1)
    assert rules.connect(AWAY, 1)


def test_a_connection_has_25_channels() -> None:
    rules = Rules(Rates())

    assert [rules.subscribe(count) for count in (0, 24, 25, 26)] == [True, True, False, False]
    assert rules.counters.violations == {"ws_channels": 2}
    assert rules.counters.most_channels == 25


def test_counters_show_the_busiest_window() -> None:
    rules = Rules(Rates.read('{"window": 10}'))

    served(rules, "conf", 0, 1, 2, 20)
    for now in (0, 1, 50):
        rules.connect(HOME, now)
    report = rules.counters.report()
    assert report["most_requests_in_a_window"] == {"conf": 3}
    assert report["connections"] == {"opened": 3, "refused": 0, "most_in_a_window": 2}


def test_a_restart_forgives_nothing() -> None:
    before = Rules(Rates.read('{"rates": {"conf": 2, "book": 0}}'))
    served(before, "conf", 0, 1)
    before.request(AWAY, "book", 1)

    after = Rules(before.rates)
    after.load(before.dump())
    assert not after.request(HOME, "conf", 2)
    assert not after.request(AWAY, "conf", 2)
    assert after.counters.violations == {"rest_rate": 2, "rest_blocked": 1}


def test_rates_are_read_from_json_and_the_rest_keeps_its_default() -> None:
    rates = Rates.read('{"window": 2, "rates": {"tickers": 3}, "ws": 5}')

    assert (rates.window, rates.block, rates.ws, rates.channels) == (2, 2, 5, 25)
    assert rates.rates == DEFAULT_RATES | {"tickers": 3}
    assert Rates.read("") == Rates()


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"windows": 1}', '{"window": 0}', '{"ws": -1}', '{"rates": {"conf": "a"}}']
)
def test_bad_rates_name_their_variable(text: str) -> None:
    with pytest.raises(ValueError, match="BFX_RATES"):
        Rates.read(text)
