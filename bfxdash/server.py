"""Daphne with our limits, and the long-running tasks that live beside it in the same loop.

Daphne has no lifespan events, so `serve` starts the tasks itself: once the server listens, and on
Daphne's own loop. A task that ends by itself stops the server with exit status 1: a page without
its feed must not look alive.
"""

import asyncio
import gc
import resource
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import structlog
from autobahn.websocket.protocol import WebSocketProtocol as Sockets
from daphne.endpoints import build_endpoint_description_strings
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

Task = Callable[[], Coroutine[Any, Any, None]]

BACKLOG = 2048  # Twisted's 50 makes a reconnect storm wait for SYN retries of 1, 3 and 7 s
PING_SECONDS = 10  # between pings
PONG_SECONDS = 10  # for the answer
GOING_DOWN = 1012  # WebSocket close code "service restart": browsers come back, spread out
GOODBYE_SECONDS = 1.5  # for the closing handshakes
TASK_SECONDS = 10.0  # for the tasks to put their things in order

log = structlog.get_logger(__name__)


class Protocol(WebSocketProtocol):
    """Daphne's own expects that whatever closes had its handshake; what had none it logs as a
    failure, with a traceback that anybody could fill the log with."""

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)


class DashServer(Server):
    """Daphne's server, whose end is orderly and whose tasks are watched."""

    def __init__(
        self,
        application: Any,
        *,
        host: str,
        port: int,
        tasks: Sequence[Task] = (),
        on_listening: Callable[[int], None] | None = None,
    ) -> None:
        (endpoint,) = build_endpoint_description_strings(host=host, port=port)
        super().__init__(
            application,
            endpoints=[f"{endpoint}:backlog={BACKLOG}"],
            ready_callable=self._start_tasks,
            server_name="bfxdash",
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            websocket_connect_timeout=20,
            websocket_handshake_timeout=20,
            websocket_max_message_size=64 * 1024,
            websocket_max_frame_size=64 * 1024,
        )
        self.exit_status = 0
        self._address = f"{host}:{port}"
        self._task_factories = tasks
        self._tasks: list[asyncio.Task[None]] = []
        self._ports: list[Any] = []
        self._on_listening = on_listening
        self._stopping = False

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Hand the protocol to the consumer, which may then write past Daphne's buffers."""
        scope.setdefault("extensions", {})["bfxdash.protocol"] = protocol
        return super().create_application(protocol, scope)

    def listen_success(self, port: Any) -> None:
        self._ports.append(port)
        super().listen_success(port)

    def listen_error(self, failure: Any) -> None:
        self._fail("cannot listen", address=self._address, reason=failure.getErrorMessage())

    def kill_all_applications(self) -> Any:
        """Daphne's hook before the reactor stops; the reactor waits for what it returns."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._wind_down()))

    def _start_tasks(self) -> None:
        # A broken frame is answered with its close code instead of a bare end of the connection.
        # `bfxdash.edge` refuses the origin "null" as it does any other.
        self.ws_factory.setProtocolOptions(failByDrop=False, allowNullOrigin=True)
        self.ws_factory.protocol = Protocol
        globalLogPublisher.addObserver(_log_twisted_failure)  # type: ignore[arg-type]
        for factory in self._task_factories:
            task = asyncio.get_event_loop().create_task(factory())
            task.add_done_callback(self._task_ended)
            self._tasks.append(task)
        if self._on_listening is not None:
            self._on_listening(self._ports[0].getHost().port)

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        if self._stopping:
            return
        error = None if task.cancelled() else task.exception()
        reason = f"{type(error).__name__}: {error}" if error else "it ended by itself"
        name = task.get_coro().__qualname__  # type: ignore[union-attr]
        self._fail("a task died, the server stops", task=name, reason=reason, exc_info=error)

    def _fail(self, event: str, **facts: Any) -> None:
        log.critical(event, **facts)
        self._stopping = True
        self.exit_status = 1
        self.stop()

    async def _wind_down(self) -> None:
        self._stopping = True
        for port in self._ports:
            port.stopListening()
        await self._say_goodbye()
        for task in self._tasks:
            task.cancel()
        await _settle(self._tasks, TASK_SECONDS)
        running = [facts.get("application_instance") for facts in self.connections.values()]
        applications = [each for each in running if each is not None and not each.done()]
        for application in applications:
            application.cancel()
        await _settle(applications, GOODBYE_SECONDS)

    async def _say_goodbye(self) -> None:
        """Close every WebSocket with 1012, and wait a moment for the answers."""
        open_state = Sockets.STATE_OPEN
        sockets = [each for each in self.connections if getattr(each, "state", 0) == open_state]
        for protocol in sockets:
            protocol.sendCloseFrame(code=GOING_DOWN, reasonUtf8=b"restart")
        deadline = asyncio.get_running_loop().time() + GOODBYE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if all(protocol.state == Sockets.STATE_CLOSED for protocol in sockets):
                return
            await asyncio.sleep(0.02)


def serve(
    host: str,
    port: int,
    *,
    tasks: Sequence[Task] = (),
    on_listening: Callable[[int], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, or until one of `tasks` ends; return the exit status.

    `tasks` are coroutine functions that run until cancelled. `port` 0 takes a free one;
    `on_listening` gets the real one as soon as connections are accepted.
    """
    from bfxdash.asgi import application
    from market.relay import relay

    _raise_file_limit()
    server = DashServer(
        application, host=host, port=port, tasks=(relay().run, *tasks), on_listening=on_listening
    )
    # What the start made is never garbage: a full collection that visits it holds the loop 60 ms.
    gc.collect()
    gc.freeze()
    server.run()
    return server.exit_status


async def _settle(tasks: Sequence[Awaitable[Any]], seconds: float) -> None:
    if tasks:
        await asyncio.wait([asyncio.ensure_future(each) for each in tasks], timeout=seconds)


def _raise_file_limit() -> None:
    """One browser is one file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_twisted_failure(event: LogEvent) -> None:
    """Daphne sends Twisted's log nowhere; what went wrong in there must still be seen."""
    if event.get("log_level") is LogLevel.critical:
        log.error("failure inside the server", detail=formatEvent(event))
