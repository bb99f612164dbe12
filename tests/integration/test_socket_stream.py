"""Real browsers' sockets at the real server: what they get, at whatever speed they read."""

import time

from tests.sockets import pump

MEGABYTE = 1 << 20


def last_prices(ticking):
    return ticking.report()["prices"]


def test_the_snapshot_comes_first_and_every_change_follows_in_order(start_ticking):
    ticking = start_ticking(BFX_FLUSH_MS="0")
    ticking.list_symbols(tA=1, tB=2)
    browser = ticking.open()
    first = browser.next()
    assert (first["snapshot"], browser.table) == (True, {"tA": 1, "tB": 2})
    for price in range(10, 30):
        ticking.prices(tA=price)
    browser.until(lambda: browser.table["tA"] == 29)
    numbers = [message["seq"] for message in browser.messages]
    assert numbers == list(range(first["seq"], first["seq"] + len(numbers)))


def test_each_browser_gets_only_what_it_subscribed_to(ticking):
    everything, one, none = (
        ticking.open(f"/ws/tickers/{query}") for query in ("", "?symbols=tA", "?symbols=tA")
    )
    for browser in (everything, one, none):
        browser.next()
    none.say(subscribe=[])
    none.until(lambda: none.messages[-1].get("snapshot") and none.table == {})
    ticking.prices(tA=11, tB=12)
    everything.until(lambda: everything.table == {"tA": 11, "tB": 12, "tC": 3})
    one.until(lambda: one.table == {"tA": 11})
    none.say(ping=1)
    none.until(lambda: "pong" in none.messages[-1])
    assert none.table == {}


def test_the_server_writes_straight_into_the_socket(ticking):
    ticking.open().next()
    assert ticking.report()["sinks"] == ["DirectSink"]


def test_a_late_browser_gets_the_newest_values_in_a_quiet_market(ticking):
    ticking.prices(tA=77)
    time.sleep(0.1)
    browser = ticking.open()
    browser.next()
    assert browser.table["tA"] == 77


def test_readers_of_every_speed_end_with_the_newest_values(start_ticking):
    ticking = start_ticking(BFX_FLUSH_MS="20", TEST_PING_SECONDS="1")
    ticking.list_symbols(**{f"tS{number:03d}": 0 for number in range(50)})
    speeds = [0, 20_000, 50_000, 100_000, MEGABYTE, MEGABYTE]
    browsers = [ticking.open(buffer=8192) for _ in speeds]
    ticking.order(every=0.005, symbols=50)
    pump(zip(browsers, speeds, strict=True), 3)
    newest = last_prices(ticking)  # stops the ticking
    assert newest["tS000"] > 100
    for browser in browsers:
        browser.until(lambda browser=browser: browser.table == newest)
        numbers = [message["seq"] for message in browser.messages]
        assert numbers == sorted(set(numbers))
    assert len(browsers[1].messages) < len(browsers[-1].messages) / 2
    assert browsers[-1].pings > 0


def test_a_sleeping_phone_gets_one_frame_with_all_it_missed(start_ticking):
    ticking = start_ticking(BFX_FLUSH_MS="10")
    ticking.list_symbols(**{f"tS{number:03d}": 0 for number in range(200)})
    phone = ticking.open(buffer=8192)
    phone.next()
    ticking.order(every=0.01, symbols=200)
    time.sleep(2)
    newest = last_prices(ticking)  # from here on the market is quiet
    phone.until(lambda: phone.table == newest)
    numbers = [message["seq"] for message in phone.messages]
    assert len(numbers) < 20
    assert numbers[-1] - numbers[-2] > 50
    ticking.prices(tS000=-1)
    phone.until(lambda: phone.table["tS000"] == -1)


def test_a_browser_that_agreed_to_compression_sees_the_same_for_half_the_bytes(start_ticking):
    ticking = start_ticking(BFX_FLUSH_MS="20", BFX_DEFLATE="on")
    ticking.list_symbols(**{f"tS{number:03d}": 0 for number in range(100)})
    plain = ticking.open()
    packed = ticking.open(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
    slow = ticking.open(buffer=8192, Sec_WebSocket_Extensions="permessage-deflate")
    ticking.order(every=0.01, symbols=100)
    pump([(plain, MEGABYTE), (packed, MEGABYTE), (slow, 10_000)], 1.5)
    newest = last_prices(ticking)
    for browser in (plain, packed, slow):
        browser.until(lambda browser=browser: browser.table == newest)
    assert packed.bytes < plain.bytes / 2
    packed.say(ping=5)
    packed.until(lambda: packed.messages[-1].get("pong") == 5)


def test_what_is_on_the_screen_reaches_the_feed_and_is_forgotten_with_the_browser(ticking):
    browser = ticking.open()
    browser.next()
    browser.say(watch=["tB", "tC"])
    browser.say(ping=1)
    browser.until(lambda: "pong" in browser.messages[-1])
    assert ticking.report()["watched"] == ["tB", "tC"]
    browser.close()
    for _ in range(50):
        if not ticking.report()["watched"]:
            break
    assert ticking.report()["watched"] == []
