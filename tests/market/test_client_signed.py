import socket
import time
from decimal import Decimal

import pytest
from django.db import OperationalError

from accounts import keys, signer
from accounts.errors import KeyBusy, KeyRevoked
from accounts.models import ApiKey
from market import client
from market.bitfinex import account, orders
from market.bitfinex.errors import (
    AuthRefused,
    LimiterClosed,
    NonceRefused,
    NoReply,
    OutcomeUnknown,
    Rejected,
    Unreachable,
)
from market.bitfinex.orders import NewOrder
from market.client import RestClient
from market.limits import Lane
from tests.market.test_client import OpenLimiter, Server, client_for, http

SCOPES = b'[["account",1,0],["orders",1,1,"appended"]]'
NONCE_SMALL = http("500 Error", b'["error",10114,"nonce: small"]')


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def limiter() -> OpenLimiter:
    return OpenLimiter()


@pytest.fixture
def rest_client(server: Server, limiter: OpenLimiter):
    with server.running() as address:
        yield client_for(address, limiter)


def headers_of(asked: str) -> dict[str, str]:
    lines = asked.split("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def nonces(server: Server) -> list[int]:
    return [int(headers_of(asked)["bfx-nonce"]) for asked in server.asked]


def test_a_signed_call_carries_key_nonce_and_signature_and_counts_for_its_owner(
    rest_client: RestClient, server: Server, limiter: OpenLimiter, signing_key: ApiKey
):
    server.answers = [http("200 OK", SCOPES)]
    rows = rest_client.call(account.permissions(), signing_key, lane="look_up")
    assert [(row.scope, row.read, row.write) for row in rows] == [
        ("account", 1, 0),
        ("orders", 1, 1),
    ]
    assert limiter.acquired == [("auth/r/permissions", "look_up", signing_key.owner_id)]
    [asked] = server.asked
    assert asked.startswith("POST /v2/auth/r/permissions HTTP/1.1\r\n")
    assert asked.endswith("\r\n\r\n{}")
    assert len(headers_of(asked)["bfx-signature"]) == 96
    assert headers_of(asked)["content-type"] == "application/json"


def test_a_refused_nonce_is_signed_again_with_a_higher_one(
    rest_client: RestClient, server: Server, limiter: OpenLimiter, signing_key: ApiKey
):
    server.answers = [NONCE_SMALL, NONCE_SMALL, http("200 OK", SCOPES)]
    assert rest_client.call(account.permissions(), signing_key)
    assert nonces(server) == sorted(set(nonces(server)))
    assert len(limiter.acquired) == len(server.asked) == 3
    signing_key.refresh_from_db()
    assert signing_key.bump == 0


def test_four_refused_nonces_end_the_call(
    rest_client: RestClient, server: Server, signing_key: ApiKey
):
    server.answers = [NONCE_SMALL] * 9
    with pytest.raises(NonceRefused):
        rest_client.call(account.permissions(), signing_key)
    assert len(server.asked) == client.SLOTS_A_CALL
    signing_key.refresh_from_db()
    assert signing_key.bump == client.SLOTS_A_CALL


@pytest.mark.parametrize(
    ("answer", "error", "sent"),
    [
        (http("500 Error", b'["error",10001,"Order not found."]'), Rejected, 1),
        (http("500 Error", b'["error",10100,"apikey: invalid"]'), AuthRefused, 1),
        (lambda peer: None, NoReply, 1),
    ],
)
def test_any_other_failure_is_sent_once(
    rest_client: RestClient, server: Server, signing_key: ApiKey, answer, error, sent
):
    server.answers = [answer]
    with pytest.raises(error) as caught:
        rest_client.call(orders.cancel_all(), signing_key, lane="cancel")
    assert len(server.asked) == sent
    assert "bfx-" not in repr(caught.value)


BROKEN = [
    lambda peer: None,
    http("502 Bad Gateway", b"<html>"),
    http("200 OK", b'[["account",1'),
    http("200 OK", b'[["account","one",0]]'),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_read_whose_answer_is_lost_is_asked_once_more_with_a_new_nonce(
    rest_client: RestClient, server: Server, limiter: OpenLimiter, signing_key: ApiKey, broken
):
    server.answers = [broken, http("200 OK", SCOPES)]
    assert len(rest_client.call(account.permissions(), signing_key)) == 2
    first, second = nonces(server)
    assert first < second
    assert len(limiter.acquired) == 2


@pytest.mark.parametrize("broken", BROKEN)
def test_a_read_is_not_asked_a_third_time(
    rest_client: RestClient, server: Server, signing_key: ApiKey, broken
):
    server.answers = [broken] * 3
    with pytest.raises(OutcomeUnknown):
        rest_client.call(account.permissions(), signing_key)
    assert len(server.asked) == 2


def test_a_read_past_its_deadline_is_not_repeated(
    rest_client: RestClient, server: Server, signing_key: ApiKey
):
    server.answers = [lambda peer: None]
    with pytest.raises(NoReply):
        rest_client.call(account.permissions(), signing_key, deadline=0.0)
    assert len(server.asked) == 1


@pytest.mark.parametrize("lane", ["read", "look_up", "cancel", "place"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_write_is_never_repeated_in_whatever_lane(
    rest_client: RestClient, server: Server, signing_key: ApiKey, broken, lane
):
    server.answers = [broken, broken]
    order = NewOrder("tBTCUSD", "buy", "EXCHANGE LIMIT", Decimal("0.1"), Decimal(20000))
    with pytest.raises(OutcomeUnknown):
        rest_client.call(orders.submit(order, 7), signing_key, lane=lane)
    assert len(server.asked) == 1


def test_a_lost_read_whose_next_nonces_are_refused_stays_within_four_slots(
    rest_client: RestClient, server: Server, signing_key: ApiKey
):
    server.answers = [lambda peer: None, *[NONCE_SMALL] * 9]
    with pytest.raises(NonceRefused):
        rest_client.call(account.permissions(), signing_key)
    assert len(server.asked) == client.SLOTS_A_CALL


def test_a_revoked_key_sends_nothing(rest_client: RestClient, server: Server, signing_key: ApiKey):
    keys.revoke_key(key=signing_key, by=signing_key.owner, reason="leaked")
    with pytest.raises(KeyRevoked):
        rest_client.call(account.permissions(), signing_key)
    assert server.asked == []


def test_every_attempt_is_told_with_its_nonce_before_it_leaves(
    rest_client: RestClient, server: Server, signing_key: ApiKey
):
    server.answers = [NONCE_SMALL, http("200 OK", SCOPES)]
    told: list[tuple[int, int]] = []
    rest_client.call(
        account.permissions(),
        signing_key,
        before_send=lambda nonce: told.append((nonce, len(server.asked))),
    )
    assert told == [(nonce, sent) for sent, nonce in enumerate(nonces(server))]


def test_what_is_told_may_stop_the_call(
    rest_client: RestClient, server: Server, signing_key: ApiKey
):
    def stop(_: int) -> None:
        raise LookupError("settled meanwhile")

    with pytest.raises(LookupError):
        rest_client.call(account.permissions(), signing_key, before_send=stop)
    assert server.asked == []


def test_a_busy_key_is_waited_for(
    rest_client: RestClient, server: Server, signing_key: ApiKey, monkeypatch: pytest.MonkeyPatch
):
    server.answers = [http("200 OK", SCOPES)]
    busy = [KeyBusy(signing_key.uuid, 1_000)]
    real = signer.signed

    def signed(*args: object) -> signer.Signed:
        if busy:
            raise busy.pop()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(signer, "signed", signed)
    assert rest_client.call(account.permissions(), signing_key)


def busy_for(times: int, wait_us: int, key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is busy so often, and then free."""
    busy = [KeyBusy(key.uuid, wait_us)] * times
    real = signer.signed

    def signed(*args: object) -> signer.Signed:
        if busy:
            raise busy.pop()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(signer, "signed", signed)


def test_a_key_busy_for_longer_than_its_slot_is_waited_for_all_the_same(
    rest_client: RestClient,
    server: Server,
    limiter: OpenLimiter,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
):
    limiter.lasts = [0.01] * 8 + [5.0]
    busy_for(8, 20_000, signing_key, monkeypatch)
    server.answers = [http("200 OK", SCOPES)]
    assert rest_client.call(account.permissions(), signing_key)
    assert len(limiter.acquired) == 9
    assert len(server.asked) == 1


def test_a_key_busy_past_the_deadline_sends_nothing(
    rest_client: RestClient,
    server: Server,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
):
    busy_for(99, 500_000, signing_key, monkeypatch)
    with pytest.raises(KeyBusy):
        rest_client.call(account.permissions(), signing_key, deadline=0.2)
    assert server.asked == []


def test_who_stands_in_line_while_the_address_is_blocked_sends_nothing(
    rest_client: RestClient,
    server: Server,
    limiter: OpenLimiter,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
):
    busy_for(9, 1_000, signing_key, monkeypatch)
    limiter.blocked = 60.0
    with pytest.raises(Unreachable, match="SlotMissed"):
        rest_client.call(account.permissions(), signing_key)
    assert server.asked == []
    assert len(limiter.acquired) == client.SLOTS_A_CALL  # the real one would say when to come back


@pytest.mark.parametrize("learn", ["nonce_accepted", "nonce_refused"])
def test_an_answer_stands_even_if_the_nonces_cannot_be_told(
    rest_client: RestClient,
    server: Server,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
    learn: str,
):
    def away(_: object) -> None:
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(signer, learn, away)
    server.answers = [NONCE_SMALL, http("200 OK", SCOPES)]
    assert rest_client.call(account.permissions(), signing_key)


@pytest.mark.parametrize(("lane", "pause"), [("read", 0.1), ("cancel", 0.01)])
def test_a_cancel_asks_for_its_turn_before_the_others_wake(
    rest_client: RestClient,
    server: Server,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
    lane: Lane,
    pause: float,
):
    server.answers = [http("200 OK", SCOPES)]
    slept: list[float] = []
    busy, real = [KeyBusy(signing_key.uuid, 100_000)], signer.signed

    def signed(*args: object) -> signer.Signed:
        if busy:
            raise busy.pop()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(signer, "signed", signed)
    monkeypatch.setattr(time, "sleep", slept.append)
    assert rest_client.call(account.permissions(), signing_key, lane=lane)
    assert slept[0] == pause


def test_without_a_database_nothing_is_signed_or_sent(
    rest_client: RestClient,
    server: Server,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
):
    def signed(*_: object) -> signer.Signed:
        raise OperationalError("gone")

    monkeypatch.setattr(signer, "signed", signed)
    with pytest.raises(LimiterClosed):
        rest_client.call(account.permissions(), signing_key)
    assert server.asked == []


def test_a_grant_too_old_to_leave_is_replaced_within_the_slot(
    rest_client: RestClient,
    server: Server,
    limiter: OpenLimiter,
    signing_key: ApiKey,
    monkeypatch: pytest.MonkeyPatch,
):
    server.answers = [http("200 OK", SCOPES)]
    late = [True]
    real = signer.signed

    def signed(*args: object) -> signer.Signed:
        done = real(*args)  # type: ignore[arg-type]
        if late:
            late.clear()
            time.sleep(signer.WINDOW_NS / 1e9 + 0.01)  # a process frozen between grant and send
        return done

    monkeypatch.setattr(signer, "signed", signed)
    assert rest_client.call(account.permissions(), signing_key)
    assert len(limiter.acquired) == 1
    assert len(server.asked) == 1


def test_a_slot_that_passed_while_signing_is_replaced(
    rest_client: RestClient, server: Server, limiter: OpenLimiter, signing_key: ApiKey
):
    server.answers = [http("200 OK", SCOPES)]
    limiter.lasts = [-1.0, 5.0]
    assert rest_client.call(account.permissions(), signing_key)
    assert len(limiter.acquired) == 2
    assert len(server.asked) == 1


def test_an_unreachable_exchange_has_seen_nothing(limiter: OpenLimiter, signing_key: ApiKey):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable):
        client_for(f"http://127.0.0.1:{port}", limiter).call(account.permissions(), signing_key)
