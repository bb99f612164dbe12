"""Browsers that do not read cost bounded memory, here and in the kernel, and nobody else's time."""

import time

from tests.sockets import pump

STALLED, READING = 20, 4


def test_stalled_readers_cost_no_memory_and_no_time(start_ticking):
    ticking = start_ticking(BFX_FLUSH_MS="20")
    ticking.list_symbols(**{f"tS{number:03d}": 0 for number in range(200)})
    for _ in range(STALLED):
        ticking.open(buffer=4096)
    readers = [ticking.open() for _ in range(READING)]
    ticking.order(every=0.02, symbols=200)
    pace = [(reader, 100 << 20) for reader in readers]
    pump(pace, 1)
    before = ticking.memory
    began = time.monotonic()
    while readers[0].bytes < 1_000_000 and time.monotonic() - began < 60:
        pump(pace, 1)
    assert readers[0].bytes >= 1_000_000  # what each stalled reader would have had to be kept
    assert ticking.memory - before < 2 << 20
    stalled = sorted(ticking.unread)[-STALLED:]
    assert max(stalled) < 64 * 1024
    newest = ticking.report()["prices"]
    began = time.monotonic()
    for reader in readers:
        reader.until(lambda reader=reader: reader.table == newest)
    assert time.monotonic() - began < 10


def test_a_reader_behind_for_too_long_is_dropped_and_may_come_back(start_ticking):
    ticking = start_ticking(BFX_FLUSH_MS="20", TEST_BEHIND_SECONDS="1")
    ticking.list_symbols(**{f"tS{number:03d}": 0 for number in range(200)})
    stalled, reader = ticking.open(buffer=4096), ticking.open()
    ticking.order(every=0.02, symbols=200)
    pump([(reader, 100 << 20)], 3)
    facts = ticking.report()
    assert (facts["dropped"], facts["readers"]) == (1, 1)
    stalled.until_closed()
    again = ticking.open()
    again.next()
    assert again.table == facts["prices"]


def test_a_browser_that_answers_no_ping_is_dropped(start_ticking):
    ticking = start_ticking(TEST_PING_SECONDS="1", TEST_PONG_SECONDS="1")
    ticking.open()
    assert ticking.report()["readers"] == 1
    for _ in range(60):
        if not ticking.report()["readers"]:
            break
        time.sleep(0.1)
    assert ticking.report()["readers"] == 0


def test_a_browser_that_says_goodbye_and_never_reads_is_dropped(start_ticking):
    ticking = start_ticking(BFX_FLUSH_MS="20", TEST_BEHIND_SECONDS="1")
    ticking.list_symbols(**{f"tS{number:03d}": 0 for number in range(200)})
    stalled = ticking.open(buffer=4096)
    ticking.order(every=0.02, symbols=200)
    time.sleep(0.5)
    stalled.send(b"\x03\xe8", opcode=8)
    time.sleep(2.5)
    assert ticking.report()["readers"] == 0
