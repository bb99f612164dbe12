"""What the benchmark needs beside the product, made once in a cache folder: the compiled loader,
the peers' own venv, node's `ws`. Something that cannot be made is missing, not fatal: the goals
that need it say so.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
SET_UP_S = 300


class Missing(Exception):
    """A part that this machine cannot provide; the text is written for people."""


class Workshop:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Path | Missing] = {}

    def loader(self) -> list[str]:
        """The command of the load generator: compiled, or the slow one without a compiler."""
        try:
            return [str(self._once("loader", self._make_loader))]
        except Missing:
            return self.slow_loader()

    def slow_loader(self) -> list[str]:
        return [sys.executable, "-m", "tests.bench.slowload"]

    def python(self) -> Path:
        """Python with the peers' dependencies."""
        return self._once("python", lambda: self._make_venv("venv", "requirements.txt"))

    def traders(self) -> Path:
        """Python with bitfinex-api-py and ccxt, whose pins clash with the others'."""
        return self._once("traders", lambda: self._make_venv("traders", "traders.txt"))

    def node_folder(self) -> Path:
        """The folder whose node_modules holds `ws`."""
        return self._once("node", self._make_node)

    def _once(self, name: str, make: Callable[[], Path]) -> Path:
        if name not in self._made:
            try:
                self._made[name] = make()
            except Missing as missing:
                self._made[name] = missing
        made = self._made[name]
        if isinstance(made, Missing):
            raise made
        return made

    def _make_loader(self) -> Path:
        target = self._dated("loadgen", HERE / "loadgen.c")
        compiler = shutil.which("cc")
        if not target.exists():
            if compiler is None:
                raise Missing("no C compiler")
            _run([compiler, "-O2", "-o", str(target), str(HERE / "loadgen.c")])
        return target

    def _make_venv(self, name: str, requirements: str) -> Path:
        folder = self._dated(name, HERE / requirements)
        python = folder / "bin" / "python"
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # test workers may want it at the same time
            if not (folder / "complete").exists():
                shutil.rmtree(folder, ignore_errors=True)
                _fill_venv(
                    folder,
                    python,
                    ["--require-hashes", "--no-deps", "-r", str(HERE / requirements)],
                )
                (folder / "complete").touch()
        return python

    def _make_node(self) -> Path:
        folder = self._dated("node", HERE / "package-lock.json")
        npm = shutil.which("npm")
        if not (folder / "node_modules" / "ws").exists():
            if npm is None or shutil.which("node") is None:
                raise Missing("no node or npm")
            folder.mkdir(exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            _run([npm, "ci", "--ignore-scripts", "--silent", "--prefix", str(folder)])
        return folder

    def _dated(self, name: str, source: Path) -> Path:
        """A path that changes with its source, so that a stale build is never used."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"


def _fill_venv(folder: Path, python: Path, pins: list[str]) -> None:
    if uv := shutil.which("uv"):
        _run([uv, "venv", "-q", "-p", sys.executable, str(folder)])
        _run([uv, "pip", "install", "-q", "--python", str(python), *pins])
    else:
        venv.create(folder, with_pip=True)
        _run([str(python), "-m", "pip", "install", "-q", *pins])


def _run(command: list[str]) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=SET_UP_S, cwd=HERE
        )
    except (OSError, subprocess.SubprocessError) as error:
        detail = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise Missing(f"{Path(command[0]).name} failed: {detail[-1] if detail else ''}") from error
