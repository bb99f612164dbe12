"""A browser's socket for tests, made of a plain socket and a strict frame parser, so that a test
decides when and how fast it reads; and the server of `tests.integration.ticking` for it.
"""

import base64
import json
import os
import re
import select
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bfxdash.gate import clean_environment
from tests.bench.frames import CLOSE, PING, PONG, TEXT, Frame, FrameParser
from tests.servers import SECRET_KEY, Child

ORIGIN = "http://localhost:8000"


class Refused(Exception):
    """The handshake was answered with another status than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


def masked(opcode: int, payload: bytes) -> bytes:
    """A browser's frame of any size; the mask 0 leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


class Browser:
    """One WebSocket. `table` is what its page would show; `messages` all that came, in order."""

    def __init__(
        self, port: int, path: str = "/ws/tickers/", *, buffer: int = 0, **headers: str
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.table: dict[str, object] = {}
        self.close_code: int | None = None
        self.pings = 0
        self.bytes = 0
        self._parser = FrameParser(deflate="Sec_WebSocket_Extensions" in headers)
        self.socket = socket.socket()
        if buffer:  # before the connection: its window follows from it
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            self.socket.connect(("127.0.0.1", port))
            self.begin(port, path, headers)
        except OSError:
            self.socket.close()
            raise

    def begin(self, port: int, path: str, headers: dict[str, str]) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {
            "Host": f"localhost:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            "Origin": ORIGIN,
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {each}" for name, each in fields.items())]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def shake_hands(self, seconds: float = 30) -> "Browser":
        """Reads the answer; what follows it in the same packet is not lost."""
        self.socket.settimeout(seconds)
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self.socket.recv(1)  # not a byte of the first frame
            if not data:
                raise Refused(0)
            answer += data
        status = int(answer.split()[1])
        if status != 101:
            self.socket.close()
            raise Refused(status)
        return self

    # Reading

    def receive(self, size: int = 65_536) -> bool:
        """Reads at most `size` bytes that are there; False at the end of the connection."""
        try:
            data = self.socket.recv(size)
        except ConnectionResetError:
            data = b""
        self.bytes += len(data)
        for frame in self._parser.receive(data):
            self.take(frame)
        return bool(data)

    def take(self, frame: Frame) -> None:
        if frame.opcode == PING:
            self.pings += 1
            with suppress(OSError):
                self.socket.sendall(masked(PONG, frame.payload))
        elif frame.opcode == CLOSE:
            self.close_code = int.from_bytes(frame.payload[:2], "big")
            with suppress(OSError):
                self.socket.sendall(masked(CLOSE, frame.payload))
        elif frame.opcode == TEXT:
            self.note(json.loads(frame.payload))

    def note(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if "rows" in message:
            before = {} if "snapshot" in message else self.table
            self.table = before | {row[0]: row[1] for row in message["rows"]}

    def next(self, seconds: float = 30) -> dict[str, Any]:
        """The next message."""
        known = len(self.messages)
        deadline = time.monotonic() + seconds
        while len(self.messages) == known:
            self.wait(deadline)
            if not self.receive() and len(self.messages) == known:
                raise ConnectionError(f"closed with {self.close_code}")
        return self.messages[known]

    def until(self, condition, seconds: float = 30) -> None:
        """Reads until `condition()`."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.wait(deadline)
            if not self.receive() and not condition():
                raise ConnectionError(f"closed with {self.close_code}")

    def until_closed(self, seconds: float = 30) -> int | None:
        """The close code, None when the connection just ended."""
        deadline = time.monotonic() + seconds
        while self.wait(deadline) and self.receive():
            pass
        return self.close_code

    def wait(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"nothing came; the last was {self.messages[-1:]}")
        return True

    # Writing

    def say(self, **message: object) -> None:
        self.send(json.dumps(message).encode())

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        self.socket.sendall(masked(opcode, payload))

    def close(self) -> None:
        self.socket.close()


def pump(browsers: Iterable[tuple[Browser, int]], seconds: float) -> None:
    """Lets each browser read so many bytes a second, all in turn."""
    step, pace = 0.02, list(browsers)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for browser, rate in pace:
            ready, _, _ = select.select([browser.socket], [], [], 0)
            if ready and rate:
                browser.receive(max(1, int(rate * step)))
        time.sleep(step)


class Ticking:
    """The web server whose prices the test makes."""

    def __init__(self, folder: Path, command: list[str] | None = None, **environ: str) -> None:
        settings = {"SECRET_KEY": SECRET_KEY, "BFX_DATA_DIR": str(folder), "LOG_JSON": "on"}
        self.child = Child(
            command or [sys.executable, "-m", "tests.integration.ticking"],
            folder / "ticking.log",
            environ=clean_environment() | settings | environ,
        )
        self.port = 0
        self.browsers: list[Browser] = []
        if command is None:
            try:
                self.child.wait_until(lambda: "listening" in self.child.log)
            except RuntimeError:
                self.child.close()
                raise
            self.port = int(re.findall(r"listening (\d+)", self.child.log)[0])

    def order(self, **command: object) -> None:
        pipe = self.child.process.stdin
        assert pipe is not None
        pipe.write(json.dumps(command) + "\n")
        pipe.flush()

    def list_symbols(self, **prices: float) -> None:
        """The whole table; returns when the hub has it."""
        self.order(prices=prices, full=True)
        while self.report()["prices"] != prices:
            pass

    def prices(self, **prices: float) -> None:
        self.order(prices=prices)

    def report(self) -> dict[str, Any]:
        """What the hub knows, after everything ordered before."""
        before = self.child.log.count("report {")
        self.order(report=True)
        self.child.wait_until(lambda: self.child.log.count("report {") > before)
        facts: dict[str, Any] = json.loads(re.findall(r"report (\{.*)\n", self.child.log)[-1])
        return facts

    def open(self, path: str = "/ws/tickers/", **options: Any) -> Browser:
        """A browser that has its connection, and nothing read of it yet."""
        browser = Browser(self.port, path, **options)
        self.browsers.append(browser)
        return browser.shake_hands()

    @property
    def memory(self) -> int:
        """Resident bytes of the process."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024

    @property
    def unread(self) -> list[int]:
        """Bytes that the kernel holds for each browser: sent and not acknowledged, or not sent."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = f"0100007F:{self.port:04X}"
        return [int(line[4].split(":")[0], 16) for line in lines if line[1] == ours]

    def stop(self) -> int:
        for browser in self.browsers:
            browser.close()
        return self.child.stop()


@pytest.fixture
def start_ticking(tmp_path):
    """`start_ticking(BFX_FLUSH_MS="20")`: the server with these settings."""
    started = []

    def start(**environ):
        started.append(Ticking(tmp_path, **environ))
        return started[-1]

    yield start
    for ticking in started:
        ticking.stop()


@pytest.fixture(scope="module")
def ticking(tmp_path_factory):
    """One server for all tests of a module that only talk to it. It knows tA, tB and tC."""
    server = Ticking(
        tmp_path_factory.mktemp("ticking"), BFX_SOCKETS_PER_ADDRESS="1000", BFX_FLUSH_MS="20"
    )
    server.list_symbols(tA=1, tB=2, tC=3)
    yield server
    assert server.stop() == 0
