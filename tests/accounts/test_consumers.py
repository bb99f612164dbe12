"""G13: what ends a session ends its private sockets; and they tell what changed."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.sessions.models import Session

from accounts import broadcast, consumers, keys, people, socket_sessions
from accounts.consumers import WATCH, AccountConsumer
from tests.accounts.sessions import browser_of, give_factor, session_key_of

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = 1.0


@pytest.fixture
def session_key(alice) -> str:
    give_factor(alice)
    return session_key_of(browser_of(alice))


def socket_with(session_key: str) -> WebsocketCommunicator:
    cookie = [(b"cookie", f"bfx={session_key}".encode())] if session_key else []
    return WebsocketCommunicator(AccountConsumer.as_asgi(), "/ws/account/", headers=cookie)


async def opened(session_key: str) -> WebsocketCommunicator:
    socket = socket_with(session_key)
    connected, _ = await socket.connect()
    assert connected
    await asyncio.sleep(0.05)
    return socket


async def closed_with(socket: WebsocketCommunicator, seconds: float = SECOND) -> int:
    message = await socket.receive_output(seconds)
    assert message["type"] == "websocket.close"
    code: int = message["code"]
    return code


@pytest.mark.parametrize("session_key", ["", "made-up"])
async def test_without_a_session_it_is_closed_at_once(session_key):
    assert await closed_with(await opened(session_key)) == 4401


async def test_it_says_that_a_key_was_revoked_and_not_which(session_key, key, charlie):
    socket = await opened(session_key)
    await sync_to_async(keys.revoke_key)(key=key, by=charlie, reason="test")
    assert await socket.receive_json_from(2) == {"changed": "keys"}
    await socket.disconnect()


async def test_it_hears_nothing_of_others(session_key, bob, add_key):
    socket = await opened(session_key)
    his = await sync_to_async(add_key)(bob)
    await sync_to_async(keys.revoke_key)(key=his, by=bob, reason="test")
    assert await socket.receive_nothing(0.3)
    await socket.disconnect()


async def test_g13_the_logout_closes_the_sockets_of_this_session_alone(session_key, alice):
    other = await sync_to_async(browser_of)(alice)
    other_key = await sync_to_async(session_key_of)(other)
    here, there = await opened(session_key), await opened(other_key)
    await sync_to_async(other.post)("/account/logout/")
    assert await closed_with(there) == 4401
    assert await here.receive_nothing(0.2)
    await here.disconnect()


async def test_g13_a_deactivation_closes_them_all(session_key, alice, charlie):
    socket = await opened(session_key)
    await sync_to_async(people.deactivate)(user=alice, by=charlie, reason="test")
    assert await closed_with(socket) == 4401


async def test_g13_ending_other_sessions_spares_ones_own(session_key, alice):
    here = await sync_to_async(browser_of)(alice, proof="mfa")
    my_key = await sync_to_async(session_key_of)(here)
    mine, other = await opened(my_key), await opened(session_key)
    await sync_to_async(here.post)("/account/sessions/")
    assert await closed_with(other) == 4401
    assert await mine.receive_nothing(0.2)
    await mine.disconnect()


async def test_g13_without_the_layer_the_next_look_closes_it(session_key, monkeypatch):
    monkeypatch.setattr(consumers, "LOOK_SECONDS", 0.1)
    socket = await opened(session_key)
    await sync_to_async(Session.objects.all().delete)()
    assert await closed_with(socket) == 4401
    await socket.disconnect()


async def test_a_look_that_fails_is_repeated(session_key, monkeypatch):
    from django.db import DatabaseError

    asked = []

    def away(keys):
        asked.append(keys)
        raise DatabaseError("away")

    monkeypatch.setattr(consumers, "LOOK_SECONDS", 0.05)
    socket = await opened(session_key)
    monkeypatch.setattr(socket_sessions, "in_force", away)
    await asyncio.sleep(0.4)
    assert len(asked) > 1
    await socket.disconnect()


async def test_a_session_has_five_sockets_at_most(session_key):
    sockets = [await opened(session_key) for _ in range(5)]
    assert await closed_with(await opened(session_key)) == 4429
    for socket in sockets:
        await socket.disconnect()
    assert WATCH.count(session_key) == 0


async def test_what_it_is_sent_is_ignored(session_key):
    socket = await opened(session_key)
    await socket.send_to(text_data='{"subscribe": "everything"}')
    await socket.send_to(text_data="not json")
    await socket.send_to(bytes_data=b"\xff")
    assert await socket.receive_nothing(0.2)
    await sync_to_async(broadcast.tell_keys_changed)(1_000_000)
    await socket.disconnect()
