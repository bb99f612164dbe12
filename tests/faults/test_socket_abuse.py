"""What hostile or broken browsers do to the public socket, and what they get for it."""

import time
from contextlib import suppress

import pytest

from tests.bench.frames import TEXT
from tests.sockets import Browser, Refused, Ticking, masked

BINARY = 2


@pytest.fixture
def visitor(ticking):
    visitor = ticking.open()
    visitor.next()
    yield visitor
    visitor.close()


ABUSES = {
    "binary": (b"x", BINARY, 1003),
    "empty binary": (b"", BINARY, 1003),
    "bad UTF-8": (b'{"ping":"\xff"}', TEXT, 1007),
    "over 16 KiB": (b" " * (16 * 1024 + 1), TEXT, 1009),
    "over 64 KiB": (b" " * (64 * 1024 + 1), TEXT, 1009),
    "reserved opcode": (b"x", 3, 1002),
}


def wait_for_readers(ticking: Ticking, count: int, seconds: float = 20) -> None:
    """The hub learns of an end when the server has read it; a busy machine takes its time."""
    deadline = time.monotonic() + seconds
    while (readers := ticking.report()["readers"]) != count:
        assert time.monotonic() < deadline, f"{readers} readers instead of {count}"


@pytest.mark.parametrize("name", ABUSES)
def test_what_no_browser_sends_closes_the_socket(visitor, name):
    payload, opcode, code = ABUSES[name]
    visitor.send(payload, opcode)
    assert visitor.until_closed() == code


@pytest.mark.parametrize("text", [b"", b"[" * 16_000, b'{"ping":' * 2000, b"\0", b'{"subscribe":'])
def test_a_malformed_message_is_answered_and_survived(visitor, text):
    visitor.send(text)
    assert visitor.next()["error"] == "bad_message"
    visitor.say(ping=1)
    assert visitor.next()["pong"] == 1


def test_hostile_symbols_are_refused_by_name(visitor):
    hostile = ["tBTCUSD/../auth", "%0d%0a", "t<script>", "'; DROP TABLE", "tA\u0000"]
    visitor.say(subscribe=hostile)
    assert visitor.next()["symbols"] == hostile


def test_three_errors_close_the_socket(visitor):
    for _ in range(3):
        visitor.send(b"nonsense")
    assert visitor.until_closed() == 1008
    assert sum("error" in message for message in visitor.messages) == 3


def test_ten_thousand_subscribes_end_after_sixty_and_disturb_nobody(ticking, visitor):
    flooder = ticking.open()
    flooder.next()
    before = ticking.memory
    flood = b"".join(
        masked(TEXT, b'{"subscribe":["tA"]}' if number % 2 else b'{"subscribe":"all"}')
        for number in range(10_000)
    )
    flooder.socket.settimeout(5)
    with suppress(OSError):  # closed while we were talking
        flooder.socket.sendall(flood)
    began = time.monotonic()
    ticking.prices(tC=began)
    visitor.until(lambda: visitor.table["tC"] == began)
    assert time.monotonic() - began < 1
    flooder.until_closed()
    assert flooder.close_code in (1008, None)
    assert sum("snapshot" in message for message in flooder.messages) <= 61
    assert ticking.memory - before < 20 << 20


def test_a_storm_of_reconnects_is_served_whole(ticking):
    began = time.monotonic()
    storm = [Browser(ticking.port) for _ in range(200)]
    for each in storm:
        each.shake_hands()
        each.next()
        each.close()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://evil.example", 403),
        ("http://localhost:8001", 403),
        ("null", 403),
        ("file://", 403),
        ("", 400),  # these are no origins: autobahn itself refuses them
        ("http://", 400),
        ("http://localhost:8000\r\nOrigin: http://localhost:8000", 400),
    ],
)
def test_another_sites_page_cannot_listen_and_leaves_no_failure_in_the_log(ticking, origin, status):
    with pytest.raises(Refused) as refused:
        ticking.open(Origin=origin)
    assert refused.value.status == status
    ticking.report()  # the server has seen the end of that connection
    assert "failure inside the server" not in ticking.child.log


def test_no_other_path_answers(ticking):
    with pytest.raises(Refused) as refused:
        ticking.open("/ws/other/")
    assert refused.value.status == 403


def test_cookies_of_a_hostile_page_change_nothing(ticking):
    visitor = ticking.open(Cookie="sessionid=1; bfx=2", Authorization="Basic eDp5")
    assert visitor.next()["snapshot"]


def test_compression_is_not_negotiated(ticking):
    visitor = ticking.open(Sec_WebSocket_Extensions="permessage-deflate")
    assert visitor.next()["snapshot"]


def test_an_address_gets_fifty_sockets_and_then_403(start_ticking):
    ticking = start_ticking(BFX_SOCKETS_PER_ADDRESS="5")
    open_ = [ticking.open() for _ in range(5)]
    with pytest.raises(Refused) as refused:
        ticking.open()
    assert refused.value.status == 403
    open_[0].close()
    wait_for_readers(ticking, 4)
    ticking.open()


def test_a_forged_forwarding_header_does_not_open_more(start_ticking):
    ticking = start_ticking(BFX_SOCKETS_PER_ADDRESS="3", BFX_TRUSTED_PROXIES="1")
    for number in range(3):
        ticking.open(X_Forwarded_For=f"10.0.0.{number}, 198.51.100.7")
    with pytest.raises(Refused):
        ticking.open(X_Forwarded_For="10.0.0.9, 198.51.100.7")
    ticking.open(X_Forwarded_For="198.51.100.8")


def test_a_browser_that_vanishes_while_it_connects_leaves_nothing(ticking):
    before = ticking.report()["readers"]
    for _ in range(30):
        Browser(ticking.port).close()
    wait_for_readers(ticking, before)
