"""From a command line to a running command: what must be settled before the settings are read.

`up` chooses its data folder, ports and exchange here and writes them into the environment, where
`bfxdash.settings` finds them like anybody else's. What the environment already says, stays.
"""

import fcntl
import os
import secrets
import socket
import stat
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import MutableMapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import environ
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

BASE_DIR = Path(__file__).resolve().parent.parent
WEB_PORTS = range(8000, 8100)
SANDBOX_PORTS = range(8900, 9100, 2)  # each with the next one, for its control
URLS = {
    "BFX_PUBLIC_REST_URL": "http://127.0.0.1:{port}",
    "BFX_REST_URL": "http://127.0.0.1:{port}",
    "BFX_PUBLIC_WS_URL": "ws://127.0.0.1:{port}/ws/2",
    "BFX_WS_URL": "ws://127.0.0.1:{port}/ws/2",
}
NEED_DATABASE_DIR = {"migrate", "serve", "feed"}
HELD: dict[Path, int] = {}
"""Descriptors of locked files by data folder: open, and so locked, until this process ends."""


class CannotStart(Exception):
    """Says in plain words what stops the start."""


def run(argv: Sequence[str]) -> None:
    """Runs a command of `manage.py`. Bad settings end it with their names, not with a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bfxdash.settings")
    try:
        words = list(argv)
        if words[1:2] == ["up"] and not {"-h", "--help"} & set(words):
            words[2:] = prepare_up(words[2:], os.environ)
        _ = settings.INSTALLED_APPS  # reads them all
        if NEED_DATABASE_DIR & set(words[1:2]):
            make_database_dir()
    except (CannotStart, ImproperlyConfigured) as error:
        sys.exit(f"bfxdash cannot start: {error}")
    execute_from_command_line(words)


def add_up_options(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=port_number, help="default: 8000, or the next free one")
    parser.add_argument(
        "--live", action="store_true", help="the real Bitfinex instead of the sandbox exchange"
    )
    parser.add_argument("--replay", metavar="FILE", help="let the sandbox play this recording")
    parser.add_argument(
        "--no-sandbox", action="store_true", help="start no sandbox: one runs at BFX_*_URL"
    )
    parser.add_argument("--data-dir", metavar="D", help="instead of BFX_DATA_DIR")
    parser.add_argument("--sandbox-port", type=port_number, help="default: 8900, or the next free")


def port_number(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= 65535:
        raise ArgumentTypeError(f"'{raw}' is not a port from 1 to 65535")
    return int(raw)


def prepare_up(words: Sequence[str], environment: MutableMapping[str, str]) -> list[str]:
    """Completes the environment for `up`, and its options with the ports that it chose."""
    parser = ArgumentParser(prog="manage.py up", add_help=False)
    add_up_options(parser)
    options, _ = parser.parse_known_args(words)
    env_file = environment.get("BFX_ENV_FILE", str(BASE_DIR / ".env"))
    if "BFX_ENV_FILE" in environment and not Path(env_file).exists():
        raise CannotStart(f"BFX_ENV_FILE: there is no file '{env_file}'")
    environ.Env.read_env(env_file)
    mode = "live" if options.live else environment.get("BFX_EXCHANGE", "sandbox")
    environment["BFX_EXCHANGE"] = mode
    no_sandbox = mode == "live" or options.no_sandbox or URLS.keys() <= environment.keys()
    check_replay(options, no_sandbox)
    folder = make_data_dir(options, environment)
    hold(folder)
    environment["BFX_DATA_DIR"] = str(folder)
    port = options.port or first_free(options.host, WEB_PORTS)
    require_free(options.host, port, "--port")
    environment.setdefault("BFX_ORIGINS", f"http://localhost:{port},http://127.0.0.1:{port}")
    completed = [*words, "--port", str(port)]
    if no_sandbox:
        return [*completed, "--no-sandbox"]
    sandbox_port = options.sandbox_port or first_free("127.0.0.1", SANDBOX_PORTS, together=2)
    require_free("127.0.0.1", sandbox_port, "--sandbox-port")
    for name, url in URLS.items():
        environment.setdefault(name, url.format(port=sandbox_port))
    return [*completed, "--sandbox-port", str(sandbox_port)]


def check_replay(options: Namespace, no_sandbox: bool) -> None:
    if options.replay and no_sandbox:
        other = "--live, --no-sandbox or an exchange of your own at all four BFX_*_URL"
        raise CannotStart(f"--replay needs the sandbox exchange: not with {other}")
    if options.replay and not Path(options.replay).is_file():
        raise CannotStart(f"--replay: there is no file {options.replay}")


def make_data_dir(options: Namespace, environment: MutableMapping[str, str]) -> Path:
    """The folder of everything that is kept, for its owner's eyes only."""
    chosen = options.data_dir or environment.get("BFX_DATA_DIR") or BASE_DIR / "data"
    folder = Path(chosen).expanduser().resolve()
    make_folders(folder, "keys", "db")
    try:
        make_secret_key(folder / "keys" / "secret_key")
    except OSError as error:
        raise CannotStart(f"BFX_DATA_DIR: {folder}: {error.strerror}") from error
    return folder


def make_database_dir() -> None:
    """For SQLite in the data folder: it makes its file, but not the folder."""
    database = settings.DATABASES["default"]
    in_folder = Path(str(database["NAME"])).parent == settings.DATABASE_DIR
    if database["ENGINE"].endswith("sqlite3") and in_folder:
        make_folders(settings.BFX_DATA_DIR, settings.DATABASE_DIR.name)


def make_folders(folder: Path, *names: str) -> None:
    try:
        folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        for name in names:
            (folder / name).mkdir(mode=stat.S_IRWXU, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"BFX_DATA_DIR: {folder}: {error.strerror}") from error


def hold(folder: Path) -> None:
    """One `up` a data folder: a second one's feed would wait for the first one's lease, and could
    not hear it. The lock ends with the process, however it ends.
    """
    if folder in HELD:
        return
    try:
        with ExitStack() as refused:
            file = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
            refused.callback(os.close, file)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            refused.pop_all()
    except BlockingIOError as error:
        raise CannotStart(f"BFX_DATA_DIR: another bfxdash already runs on {folder}") from error
    except OSError as error:
        raise CannotStart(f"BFX_DATA_DIR: {folder}: {error.strerror}") from error
    HELD[folder] = file


def make_secret_key(path: Path) -> None:
    """Written beside its place and then put there, so that nobody ever reads half of one."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
    with suppress(FileExistsError):  # another start was quicker: its key it is
        path.hardlink_to(draft)
    draft.unlink()


def first_free(host: str, ports: range, together: int = 1) -> int:
    """The first port that is free; with the ones after it, if `together` asks for more."""
    for port in ports:
        if all(is_free(host, port + step) for step in range(together)):
            return port
    raise CannotStart(f"every port from {ports[0]} to {ports[-1]} is taken on {host}")


def require_free(host: str, port: int, option: str) -> None:
    if not is_free(host, port):
        raise CannotStart(f"{option}: port {port} on {host} is taken, choose another one")


def is_free(host: str, port: int) -> bool:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise CannotStart(f"--host: {host}: {error.strerror}") from error
    except OSError:
        return False
    return True
