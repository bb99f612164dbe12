"""Starts the server under test, pinned to its own core, and waits until it listens."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.catalog import Spec
from tests.bench.workshop import Missing, Workshop
from tests.servers import ROOT, begin_life, free_port

START_S = 30
SOCKETS = "100000"
PRIORITY = -15
SECRET_KEY = "of-the-bench-only-0123456789-abcdefghijklmnopqrstuvwxyz"
PATHS = {"ours": "/ws/tickers/"}
Command = tuple[list[str], dict[str, str]]


class Failed(Exception):
    """The server did not start; the text holds the end of its output."""


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[bytes]
    port: int
    feed: int
    path: str
    cookie: str


def cores() -> tuple[int | None, int | None]:
    """The core of the server and the core of the loader; (None, None) on a machine with one."""
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[1]) if len(free) > 1 else (None, None)


def start(command: list[str], core: int | None, **options: Any) -> subprocess.Popen[bytes]:
    """Starts a process on its core, and before other work where we may: all variants alike."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        start_new_session=True,  # Linux shares a core out by session first
        preexec_fn=begin_life,
        **options,
    )
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    with suppress(OSError):
        # The session's priority, not the threads' own: that would change how these take turns.
        Path(f"/proc/{process.pid}/autogroup").write_text(str(PRIORITY))
    return process


@contextmanager
def running(spec: Spec, workshop: Workshop) -> Iterator[Server]:
    """The server of `spec`, listening. Raises Failed or Missing."""
    port, feed = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="bfx-bench-") as folder:
        command, extra = COMMANDS[spec.server](spec, workshop, port, feed)
        environment = _environment(spec, Path(folder), feed) | extra
        cookie = _make_session(environment) if spec.server == "auth" else ""
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            process = start(
                command, cores()[0], env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait_until_listening(process, port, log)
            yield Server(process, port, feed, PATHS.get(spec.server, "/"), cookie)
        finally:
            _stop(process)


def _environment(spec: Spec, folder: Path, feed: int) -> dict[str, str]:
    """Nothing of the caller's own settings may reach the server under test."""
    kept = {
        n: v
        for n, v in os.environ.items()
        if n in ("PATH", "HOME", "LANG", "TZ", "LD_LIBRARY_PATH")
    }
    return kept | {
        "PYTHONPATH": str(ROOT),
        "BENCH_FEED": str(feed),
        "BENCH_DIR": str(folder),
        "BENCH_BLOCK_MS": str(spec.block_ms),
        "BFX_DATA_DIR": str(folder),
        "BFX_FLUSH_MS": str(spec.flush_ms),
    }


def _ours(spec: Spec, _: Workshop, port: int, feed: int) -> Command:
    ports = ["--port", str(port), "--feed", str(feed)]
    own = {"BFX_ORIGINS": f"http://127.0.0.1:{port}", "SECRET_KEY": SECRET_KEY}
    own |= {"BFX_ENV_FILE": os.devnull, "BFX_SOCKETS_PER_ADDRESS": SOCKETS}
    own |= {"BFX_DEFLATE": "on" if spec.load.deflate else "off"}
    return [sys.executable, "-m", "tests.bench.peers.ours", *ports], own


def _stock(spec: Spec, _: Workshop, port: int, feed: int) -> Command:
    application = "tests.bench.peers.stock:application"
    listen = ["-b", "127.0.0.1", "-p", str(port)]
    return [sys.executable, "-m", "daphne", *listen, application], {"BENCH_STOCK": spec.server}


def _python_peer(module: str) -> Callable[[Spec, Workshop, int, int], Command]:
    def command(spec: Spec, workshop: Workshop, port: int, feed: int) -> Command:
        options = ["--port", str(port), "--feed", str(feed), "--flush-ms", str(spec.flush_ms)]
        options += ["--deflate"] if spec.load.deflate else []
        return [str(workshop.python()), "-m", f"tests.bench.peers.{module}", *options], {}

    return command


def _node(spec: Spec, workshop: Workshop, port: int, feed: int) -> Command:
    folder = workshop.node_folder()
    node = shutil.which("node")
    if node is None:
        raise Missing("no node")
    options = ["--port", str(port), "--feed", str(feed), "--flush-ms", str(spec.flush_ms)]
    script = str(ROOT / "tests/bench/peers/node_ws.mjs")
    return [node, script, *options], {"BENCH_NODE_DIR": str(folder)}


COMMANDS: dict[str, Callable[[Spec, Workshop, int, int], Command]] = {
    "ours": _ours,
    "stock": _stock,
    "auth": _stock,
    "bare": _stock,
    "raw": _python_peer("raw_proto"),
    "ws": _python_peer("ws_broadcast"),
    "picows": _python_peer("picows_peer"),
    "node": _node,
}


def _make_session(environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "tests.bench.peers.stock"]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise Failed(done.stderr[-500:])
    return done.stdout.strip()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    tail = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise Failed(f"did not start: {' | '.join(tail)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
