"""The socket that tells a person that something of his own has changed, and ends with his session.

Messages of the channel layer arrive at most once or not at all, so besides them one task of each
process asks every fifteen seconds, in two queries for all sockets, which sessions are in force.
"""

import asyncio
import random
from typing import Any

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import DatabaseError

from accounts import socket_sessions
from accounts.broadcast import session_group, user_group
from accounts.socket_sessions import Holder

log = structlog.get_logger(__name__)

ENDED = 4401
TOO_MANY = 4429
LOOK_SECONDS = 15
JITTER_PERCENT = 10
SOCKETS_A_SESSION = 5


class Watch:
    """All private sockets of this process, and the one task that asks after their sessions."""

    def __init__(self) -> None:
        self.sockets: dict[str, set[AccountConsumer]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, socket: "AccountConsumer", session_key: str) -> None:
        self.sockets.setdefault(session_key, set()).add(socket)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, socket: "AccountConsumer", session_key: str) -> None:
        rest = self.sockets.get(session_key, set())
        rest.discard(socket)
        if not rest:
            self.sockets.pop(session_key, None)

    def count(self, session_key: str) -> int:
        return len(self.sockets.get(session_key, ()))

    async def look(self) -> None:
        """Closes every socket whose session is no longer in force."""
        asked = {key: set(sockets) for key, sockets in self.sockets.items()}
        living = await database_sync_to_async(socket_sessions.in_force)(asked)
        for key in asked.keys() - living.keys():
            for socket in asked[key]:
                await socket.end()

    async def _run(self) -> None:
        while self.sockets:
            await asyncio.sleep(LOOK_SECONDS * jitter_percent() / 100)
            try:
                await self.look()
            except DatabaseError as error:
                log.warning("sessions not checked", problem=type(error).__name__)


WATCH = Watch()


def jitter_percent() -> int:
    """So that the processes of a site do not all ask at once."""
    return random.randint(100 - JITTER_PERCENT, 100 + JITTER_PERCENT)  # noqa: S311


class AccountConsumer(AsyncJsonWebsocketConsumer):
    """Says only `{"changed": "keys"}` or `{"changed": "orders"}`; the page looks for itself. What
    it is sent is ignored."""

    holder: Holder | None = None

    async def connect(self) -> None:
        key = socket_sessions.session_key_of(self.scope)
        self.holder = await database_sync_to_async(socket_sessions.holder)(key) if key else None
        await self.accept()  # a refused handshake tells a browser no code
        if self.holder is None or WATCH.count(key) >= SOCKETS_A_SESSION:
            await self.close(TOO_MANY if self.holder else ENDED)
            return
        for group in self.groups_of(self.holder):
            await self.channel_layer.group_add(group, self.channel_name)
        WATCH.add(self, key)

    async def disconnect(self, code: int) -> None:
        if self.holder:
            WATCH.remove(self, self.holder.session_key)
            for group in self.groups_of(self.holder):
                await self.channel_layer.group_discard(group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing is asked for here, so nothing is parsed."""

    async def keys_changed(self, event: dict[str, Any]) -> None:
        await self.send_json({"changed": "keys"})

    async def orders_changed(self, event: dict[str, Any]) -> None:
        await self.send_json({"changed": "orders"})

    async def session_ended(self, event: dict[str, Any]) -> None:
        await self.end()

    async def session_check(self, event: dict[str, Any]) -> None:
        key = self.holder.session_key if self.holder else ""
        if not await database_sync_to_async(socket_sessions.in_force)([key]):
            await self.end()

    async def end(self) -> None:
        await self.close(ENDED)

    @staticmethod
    def groups_of(holder: Holder) -> tuple[str, str]:
        return user_group(holder.user), session_group(holder.session_key)
