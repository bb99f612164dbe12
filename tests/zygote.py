"""Python programs that start in a moment.

A run starts hundreds of processes, and most of the time of each start goes into importing other
people's packages. So one process a test session, the zygote, imports these (never ours, and no
settings), and becomes a program by forking (decision 009). Linux only: elsewhere programs start
as usual.

`python -m tests.zygote` is that process. It reads one order a message from the socket that is its
standard input, with the program's three standard files and a pipe for its end, and answers with
the process id. It ends with that socket, and its children end with it.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1
LARGEST = 1 << 17  # bytes of an order: an environment and a command
FILES = 4
STATUS = struct.Struct("i")
# Nothing that reads settings, and not daphne.server: it installs the reactor of its process.
PACKAGES = (
    "aiohttp.web",
    "allauth",
    "argon2",
    "asgiref.server",
    "autobahn.twisted.websocket",
    "channels.layers",
    "channels_redis.core",
    "cryptography.fernet",
    "csp",
    "django.core.handlers.asgi",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "django.forms",
    "django.template.engine",
    "django.template.loader_tags",
    "django.test.signals",
    "django.views.generic",
    "environ",
    "fido2.server",
    "msgspec",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "redis.asyncio",
    "requests",
    "rich.traceback",
    "structlog",
    "twisted.internet.asyncioreactor",
    "twisted.web.http",
    "websockets.asyncio.client",
    "whitenoise.middleware",
)


def is_here() -> bool:
    return sys.platform == "linux"


class Program:
    """A running program, with what tests use of `subprocess.Popen`. Its pipes carry text."""

    def __init__(self, pid: int, ending: int, stdin: int, stdout: int | None) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ending = ending
        self.stdin = os.fdopen(stdin, "w")
        self.stdout = None if stdout is None else os.fdopen(stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes its pipes and waits."""
        for pipe in (self.stdin, self.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.wait()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            ending = select.poll()  # select takes no file of a number above 1,023
            ending.register(self._ending, select.POLLIN)
            if not ending.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            told = os.read(self._ending, STATUS.size)
            os.close(self._ending)
            self.returncode = STATUS.unpack(told)[0] if told else -signal.SIGKILL
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Ends its input; returns its output. Kills it and raises TimeoutExpired if it is late."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.kill()

        watch = threading.Timer(timeout or threading.TIMEOUT_MAX, end)
        watch.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
            told = self.stdout.read() if self.stdout else ""
            self.wait()
        finally:
            watch.cancel()
        if late.is_set():
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0, told)
        return told, None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Zygote:
    """The zygote of this process, from the side of the tests."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environ = {name: text for name, text in os.environ.items() if name.startswith("PYTHON")}
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.zygote"],
                stdin=theirs.fileno(),
                cwd=ROOT,
                env=environ | {"PATH": os.environ.get("PATH", os.defpath)},
                start_new_session=True,
            )

    def start(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        output: int | None = None,
        complaints: int | None = None,
    ) -> Program:
        """`words` are `-m MODULE …` or `SCRIPT …`. Its standard input is a pipe, its output one as
        well unless a file takes it. Its complaints go where ours go unless a file takes them.
        """
        order = json.dumps({"words": words, "environ": dict(environ)}).encode()
        if len(order) > LARGEST:
            raise ValueError("this environment is too large")
        stdin, ours = os.pipe()
        reading, ending = os.pipe()
        told, stdout = (None, output) if output is not None else os.pipe()
        stderr = complaints if complaints is not None else 2
        with self._turn:
            socket.send_fds(self._ours, [order], [stdin, stdout, stderr, ending])
            answer = self._ours.recv(STATUS.size)
        for file in {stdin, stdout, ending} - {output}:
            os.close(file)
        if not answer:
            raise RuntimeError("the zygote has died")
        return Program(STATUS.unpack(answer)[0], reading, ours, told)

    def end(self) -> None:
        self._ours.close()
        self.process.wait()


@cache
def zygote() -> Zygote:
    made = Zygote()
    atexit.register(made.end)
    return made


# --- The process itself ---------------------------------------------------------------------------
def serve(orders: socket.socket) -> tuple[list[str], dict[str, str], list[int]] | None:
    """Forks for each order. Returns in the child with its words, environment and files; in the
    zygote at the end of the socket, with nothing.
    """
    ended, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([orders.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            bury(children)
        if orders.fileno() not in ready:
            continue
        order, files, _, _ = socket.recv_fds(orders, LARGEST, FILES)
        if not order:
            return None
        pid = os.fork()
        if not pid:
            told = json.loads(order)
            return told["words"], told["environ"], files[:3]
        children[pid] = files.pop()
        for file in files:
            os.close(file)
        orders.send(STATUS.pack(pid))


def bury(children: dict[int, int]) -> None:
    """Tells of every child that has ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        ending = children.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(ending, STATUS.pack(os.waitstatus_to_exitcode(status)))
        os.close(ending)


def become(words: list[str], environ: dict[str, str], files: list[int]) -> None:
    """The program, as if it had been started by its own name."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environ)
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


def main() -> None:
    orders = socket.socket(fileno=0)
    for name in PACKAGES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    program = serve(orders)
    if program:
        orders.detach()
        become(*program)


if __name__ == "__main__":
    main()
