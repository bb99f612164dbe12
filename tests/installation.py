"""A database and a data folder of their own, for processes that share one installation."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bfxdash.gate import clean_environment
from tests import servers, zygote

Process = zygote.Program | subprocess.Popen[str]


class MigratedDatabases:
    """Copies of a database that was migrated once for all tests of a process."""

    def __init__(self, folder: Path, postgres: Callable[[], servers.Postgres]) -> None:
        self._folder = folder
        self._file = folder / "template.sqlite3"
        self._postgres = postgres
        self._template = ""

    def on_sqlite(self, file: Path) -> str:
        """A new one in this file; returns its address."""
        if not self._file.exists():
            migrate(f"sqlite:///{self._file}", self._folder)
        shutil.copyfile(self._file, file)
        return f"sqlite:///{file}"

    def on_postgres(self, name: str) -> str:
        """A new one of this name; returns its address."""
        server = self._postgres()
        if not self._template:
            template = f"template_{os.getpid()}"
            migrate(server.make_database(template), self._folder)
            self._template = template
        return server.make_database(name, template=self._template)


def migrate(database_url: str, data: Path) -> None:
    """`data` is the folder of an installation."""
    needed = {"SECRET_KEY": servers.SECRET_KEY, "DJANGO_SETTINGS_MODULE": "bfxdash.settings"}
    command = [sys.executable, "-m", "django", "migrate", "-v0", "--skip-checks"]
    environ = (
        clean_environment() | needed | {"DATABASE_URL": database_url, "BFX_DATA_DIR": str(data)}
    )
    subprocess.run(command, check=True, env=environ, cwd=servers.ROOT, timeout=120)


def start_python(
    words: list[str], environ: Mapping[str, str], complaints: int | None = None
) -> Process:
    """A Python program with pipes for its input and output; `words` as for the interpreter."""
    if zygote.is_here():
        return zygote.zygote().start(words, environ, complaints=complaints)
    return subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        env=dict(environ),
        cwd=servers.ROOT,
    )


def run_python(
    words: list[str], environ: Mapping[str, str], seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    """To its end. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile("w+") as complaints:
        with start_python(words, environ, complaints.fileno()) as program:
            printed, _ = program.communicate(timeout=seconds)
        complaints.seek(0)
        told = complaints.read()
    return subprocess.CompletedProcess(words, program.wait(), printed, told)


class Installation:
    """A database and a data folder, for processes that are none of the test's own. There is no
    Redis: what these processes do must work without one.
    """

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        needed = {"SECRET_KEY": servers.SECRET_KEY, "DJANGO_SETTINGS_MODULE": "bfxdash.settings"}
        nobody = f"redis://127.0.0.1:{servers.free_port()}"  # signing needs no channel layer
        here = {"BFX_DATA_DIR": str(folder), "DATABASE_URL": database_url, "REDIS_URL": nobody}
        self.environ = clean_environment() | needed | here | {"LOG_LEVEL": "WARNING"} | settings
        self.started: list[Process] = []

    def start(self, module: str, *words: object) -> Process:
        process = start_python(["-m", module, *map(str, words)], self.environ)
        self.started.append(process)
        return process

    def stop(self) -> None:
        for process in self.started:
            with process:  # closes its pipes and waits
                process.kill()

    def run(self, module: str, *words: object, seconds: float = 120) -> str:
        """To its end; returns what it printed. Raises subprocess.CalledProcessError."""
        done = run_python(["-m", module, *map(str, words)], self.environ, seconds)
        sys.stderr.write(done.stderr)  # shown when the test fails
        done.check_returncode()
        return done.stdout

    def ask(self, module: str, *words: object, seconds: float = 120) -> Any:
        """To its end; returns the JSON of its last line."""
        return json.loads(self.run(module, *words, seconds=seconds).splitlines()[-1])
