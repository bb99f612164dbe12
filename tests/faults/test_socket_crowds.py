"""The sizes of guarantee G18: crowds of browsers, of which most do harm."""

import statistics
import threading
import time
from contextlib import suppress

import pytest

from tests.sockets import Browser, masked

MIB = 1 << 20
TEXT = 1


class Watcher(threading.Thread):
    """A browser that reads all the time and notes how old each price is when it comes."""

    def __init__(self, browser):
        super().__init__(daemon=True)
        self.browser = browser
        self.ages = []
        self.watching = True

    def run(self):
        while self.watching:
            message = self.browser.next(30)
            now = time.time()
            if "snapshot" not in message:
                self.ages += [now - row[9] / 1000 for row in message["rows"][:1]]


@pytest.mark.full
def test_g18_no_crowd_of_browsers_takes_the_service_down(start_ticking, capsys):
    ticking = start_ticking(BFX_SOCKETS_PER_ADDRESS="10000")
    ticking.list_symbols(**{f"tS{number:03d}": 0 for number in range(300)})
    watcher = Watcher(ticking.open())
    base = ticking.memory
    ticking.order(every=0.1, symbols=300)
    watcher.start()
    for _ in range(50):
        ticking.open(buffer=4096)
    crowd = [Browser(ticking.port) for _ in range(2000)]
    for browser in crowd:
        browser.shake_hands(60)
    flooder = ticking.open()
    with suppress(OSError):
        flooder.socket.sendall(masked(TEXT, b'{"subscribe":"all"}') * 10_000)
    for payload in (b" " * (64 * 1024 + 1), b"\xff", b"nonsense"):
        ticking.open().send(payload)
    for browser in crowd:
        browser.close()
    storm = [Browser(ticking.port) for _ in range(200)]
    for browser in storm:
        browser.shake_hands(60)
    time.sleep(3)
    grown = (ticking.memory - base) / MIB
    watcher.watching = False
    watcher.join()
    p99 = statistics.quantiles(watcher.ages, n=100)[98]
    with capsys.disabled():
        print(f"\nG18: {grown:.0f} MiB over base, p99 of the others {p99 * 1000:.0f} ms")
    for browser in storm:
        browser.close()
    assert grown < 150
    assert p99 < 1
