import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest
from django.db import connection, transaction
from prometheus_client import REGISTRY

from market import client
from market.bitfinex import rest
from market.bitfinex.errors import (
    LimiterClosed,
    NoReply,
    NoSlot,
    RateLimited,
    Rejected,
    Unreachable,
    Unreadable,
)
from market.client import Patience, RestClient, SlotMissed
from market.conf import Exchange
from market.limiter import Limiter
from market.limits import Lane, read_rates

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]"
Answer = Callable[[socket.socket], None]


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Server:
    """Answers each request with the next of the scripted answers, and keeps what was asked."""

    answers: list[bytes | Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    connections: int = 0

    @contextmanager
    def running(self) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=self.accept, args=[listener], daemon=True).start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            listener.shutdown(socket.SHUT_RDWR)

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=[peer], daemon=True).start()

    def serve(self, peer: socket.socket) -> None:
        with peer, suppress(OSError, UnicodeError):  # the client may have had enough
            while asked := peer.recv(65536).decode():
                while asked.startswith("POST") and asked.endswith("\r\n\r\n"):
                    asked += peer.recv(65536).decode()  # the body may come by itself
                self.asked.append(asked)
                answer = self.answers.pop(0) if self.answers else OK
                if callable(answer):
                    answer(peer)
                    break
                peer.sendall(answer)


class OpenLimiter(Limiter):
    """Always has a slot, for `lasts` seconds; remembers what it was told."""

    def __init__(self, lasts: float = 5.0) -> None:
        super().__init__("test", read_rates({}))
        self.lasts = [lasts]
        self.acquired: list[tuple[str, Lane, int | None]] = []
        self.blocks: list[tuple[str, float]] = []
        self.closed = False
        self.blocked = 0.0

    def blocked_for(self) -> float:
        return self.blocked

    def acquire(
        self, scope: str, lane: Lane = "read", deadline: float = 0.0, user: int | None = None
    ) -> float:
        self.acquired.append((scope, lane, user))
        lasts = self.lasts.pop(0) if len(self.lasts) > 1 else self.lasts[0]
        return time.monotonic() + lasts

    def block(self, scope: str, seconds: float) -> None:
        if self.closed:
            raise LimiterClosed("OperationalError")
        self.blocks.append((scope, seconds))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def limiter() -> OpenLimiter:
    return OpenLimiter()


@pytest.fixture
def rest_client(server: Server, limiter: OpenLimiter) -> Iterator[RestClient]:
    with server.running() as address:
        yield client_for(address, limiter)


def client_for(address: str, limiter: Limiter, patience: Patience | None = None) -> RestClient:
    socket_address = address.replace("http", "ws") + "/ws/2"
    here = Exchange("sandbox", address, address, socket_address, socket_address, "test")
    return RestClient(here, limiter, patience)


def test_a_call_takes_a_slot_sends_once_and_gives_the_typed_result(
    rest_client: RestClient, server: Server, limiter: OpenLimiter
):
    assert rest_client.call(rest.platform_status(), lane="look_up", user=7) is True
    assert limiter.acquired == [("platform/status", "look_up", 7)]
    [asked] = server.asked
    assert asked.startswith("GET /v2/platform/status HTTP/1.1\r\n")
    assert f"User-Agent: {client.USER_AGENT}" in asked


def test_calls_share_a_connection_and_keep_no_cookie(rest_client: RestClient, server: Server):
    server.answers = [http("200 OK", b"[1]", "Set-Cookie: id=1; Path=/")]
    for _ in range(3):
        rest_client.call(rest.platform_status())
    assert server.connections == 1
    assert not any("ookie" in asked for asked in server.asked)


def test_proxies_and_passwords_of_the_environment_are_not_used(
    rest_client: RestClient, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert rest_client.call(rest.platform_status()) is True


def test_a_redirect_is_not_followed(rest_client: RestClient, server: Server):
    server.answers = [http("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/")]
    with pytest.raises(Unreadable) as caught:
        rest_client.call(rest.platform_status())
    assert caught.value.status == 307
    assert len(server.asked) == 1


def test_an_error_of_the_exchange_is_typed_and_sent_only_once(
    rest_client: RestClient, server: Server
):
    server.answers = [http("500 Internal Server Error", b'["error",10020,"symbol: invalid"]')]
    with pytest.raises(Rejected):
        rest_client.call(rest.ticker("tNOPE"))
    assert len(server.asked) == 1


def test_a_rate_limit_blocks_the_whole_address(
    rest_client: RestClient, server: Server, limiter: OpenLimiter
):
    server.answers = [http("500 Error", b'{"error":"ERR_RATE_LIMIT"}')]
    with pytest.raises(RateLimited):
        rest_client.call(rest.tickers("ALL"))
    [(scope, seconds)] = limiter.blocks
    assert scope == "tickers"
    assert seconds == pytest.approx(60, abs=1)


def test_a_block_the_database_could_not_take_is_saved_before_the_next_call(
    rest_client: RestClient, server: Server, limiter: OpenLimiter
):
    server.answers = [http("429 Too Many Requests", b"")]
    limiter.closed = True
    with pytest.raises(RateLimited):
        rest_client.call(rest.tickers("ALL"))
    with pytest.raises(LimiterClosed):
        rest_client.call(rest.tickers("ALL"))
    assert len(server.asked) == 1
    limiter.closed = False
    rest_client.call(rest.platform_status())
    assert [scope for scope, _ in limiter.blocks] == ["tickers"]


def test_no_connection_means_surely_not_sent(limiter: OpenLimiter):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable) as caught:
        client_for(f"http://127.0.0.1:{port}", limiter).call(rest.tickers("ALL"))
    assert caught.value.reason == "ConnectionError"
    assert caught.value.__cause__ is None
    assert "tickers" not in str(caught.value)


def test_a_peer_without_tls_is_surely_not_sent_to(server: Server, limiter: OpenLimiter):
    server.answers = [b"not tls"]
    with server.running() as address, pytest.raises(Unreachable):
        client_for(address.replace("http", "https"), limiter).call(rest.platform_status())


@pytest.mark.parametrize(
    "answer",
    [
        lambda peer: None,
        lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n[1"),
        lambda peer: peer.sendall(b"\x00\x01"),
        http("200 OK", b"no gzip", "Content-Encoding: gzip"),
    ],
)
def test_a_lost_or_cut_reply_leaves_the_outcome_unknown(
    rest_client: RestClient, server: Server, answer: bytes | Answer
):
    server.answers = [answer]
    with pytest.raises(NoReply) as caught:
        rest_client.call(rest.platform_status())
    assert caught.value.__cause__ is None
    assert len(server.asked) == 1


def test_silence_ends_at_the_read_timeout(server: Server, limiter: OpenLimiter):
    server.answers = [lambda peer: time.sleep(1)]
    with server.running() as address, pytest.raises(NoReply):
        client_for(address, limiter, Patience(read=0.1)).call(rest.platform_status())


def drip(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
    for _ in range(99):
        peer.sendall(b" ")
        time.sleep(0.02)


def test_a_reply_that_drips_has_an_end(server: Server, limiter: OpenLimiter):
    server.answers = [drip]
    with server.running() as address, pytest.raises(NoReply, match="TooSlow"):
        client_for(address, limiter, Patience(whole=0.1)).call(rest.platform_status())


def test_a_chunked_reply_is_whole(rest_client: RestClient, server: Server):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.answers = [head + b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"]
    assert rest_client.call(rest.platform_status()) is True
    assert rest_client.call(rest.platform_status()) is True
    assert server.connections == 1


def test_a_compressed_reply_that_grows_without_end_is_refused(
    rest_client: RestClient, server: Server
):
    bomb = gzip.compress(b" " * 50 * rest.MAX_BODY)
    server.answers = [http("200 OK", bomb, "Content-Encoding: gzip")]
    with pytest.raises(Unreadable, match="2 MiB"):
        rest_client.call(rest.platform_status())


def test_a_huge_reply_is_refused(rest_client: RestClient, server: Server):
    server.answers = [http("200 OK", b"[" + b" " * rest.MAX_BODY + b"1]")]
    with pytest.raises(Unreadable, match="2 MiB"):
        rest_client.call(rest.platform_status())


def test_a_slot_missed_while_connecting_is_replaced(
    rest_client: RestClient, server: Server, limiter: OpenLimiter
):
    limiter.lasts = [-1.0, 5.0]
    assert rest_client.call(rest.platform_status()) is True
    assert len(limiter.acquired) == 2
    assert len(server.asked) == 1


def test_slots_are_not_taken_without_end(
    rest_client: RestClient, server: Server, limiter: OpenLimiter
):
    limiter.lasts = [-1.0]
    with pytest.raises(Unreachable, match=SlotMissed.__name__):
        rest_client.call(rest.platform_status())
    assert len(limiter.acquired) == client.SLOTS_A_CALL
    assert server.asked == []


def test_a_used_up_budget_sends_nothing(server: Server):
    class FullLimiter(OpenLimiter):
        def acquire(self, *_: object, **__: object) -> float:
            raise NoSlot("tickers", 12.5)

    with server.running() as address, pytest.raises(NoSlot) as caught:
        client_for(address, FullLimiter()).call(rest.tickers("ALL"))
    assert caught.value.retry_after == 12.5
    assert server.asked == []


@pytest.mark.django_db(transaction=True)
def test_no_connection_of_the_pool_is_held_while_a_request_is_on_its_way(server: Server):
    held: list[bool] = []

    class WatchedRequest(rest.Request[bool]):
        def url(self, hosts: rest.Hosts) -> str:
            held.append(connection.connection is not None)  # asked just before sending
            return super().url(hosts)

    status = rest.platform_status()
    watched = WatchedRequest(status.path, status.scope, status.read)
    with server.running() as address:
        limiter = Limiter("test", read_rates({}))
        assert client_for(address, limiter).call(watched) is True
    assert held == ["pool" not in connection.settings_dict["OPTIONS"]]


@pytest.mark.django_db(transaction=True)
def test_a_call_in_a_transaction_is_refused_and_sends_nothing(server: Server):
    with server.running() as address, transaction.atomic(), pytest.raises(RuntimeError):
        client_for(address, Limiter("test", read_rates({}))).call(rest.platform_status())
    assert server.asked == []


def test_calls_are_counted_by_outcome(rest_client: RestClient, server: Server):
    def count(outcome: str) -> float:
        labels = {"endpoint": "ticker", "outcome": outcome}
        return REGISTRY.get_sample_value("bfxdash_rest_calls_total", labels) or 0

    before = count("Rejected")
    server.answers = [http("500 Error", b'["error",10020,"symbol: invalid"]')]
    with pytest.raises(Rejected):
        rest_client.call(rest.ticker("tNOPE"))
    assert count("Rejected") == before + 1


def test_a_signed_shaped_call_posts_its_exact_body(rest_client: RestClient, server: Server):
    body = '{"amount":"0.01"}'
    request = rest.Request(
        "auth/w/order/submit", "auth/w/order/submit", bytes, method="POST", host="auth", body=body
    )
    assert rest_client.call(request) == b"[1]"
    assert server.asked[0].startswith("POST /v2/auth/w/order/submit ")
    assert server.asked[0].endswith(body)


def test_the_process_has_one_client():
    assert client.client() is client.client()
