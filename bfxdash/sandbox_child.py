"""The sandbox exchange as a child of `up`. It is the other side, so it is a process of its own."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

READY = "sandbox ready "
READY_SECONDS = 30.0
GOODBYE_SECONDS = 5.0


class SandboxDied(Exception):
    """The prices had a source, and now they have none: the server must not go on as if."""


class SandboxChild:
    """Runs until `stop`, or until we end, in whatever way: then its standard input ends.

    It has a session of its own, so that Ctrl-C in a terminal reaches only us.
    """

    def __init__(self, port: int, state_dir: Path, replay: str | None = None) -> None:
        options = ["--port", str(port), "--control-port", str(port + 1)]
        options += ["--state-dir", str(state_dir), "--exit-with-parent"]
        if replay:
            options += ["--replay", replay]
        self.replay = replay
        self._process = subprocess.Popen(
            [sys.executable, "-m", "market.sandbox", *options],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.address = ""
        self._settled = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_ready(self) -> None:
        """Returns when it answers."""
        self._settled.wait(READY_SECONDS)
        if not self.address:
            raise SandboxDied(f"the sandbox exchange did not start ({self._ending()})")

    async def watch(self) -> None:
        """Runs as long as the child does."""
        await asyncio.to_thread(self._process.wait)
        raise SandboxDied(f"the sandbox exchange ended by itself ({self._ending()})")

    def stop(self, patience: float = GOODBYE_SECONDS) -> None:
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join()
        self._process.communicate()  # waits, and closes the pipes

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  a pipe, see above
        for line in self._process.stdout:
            if line.startswith(READY):
                self.address = line.removeprefix(READY).strip()
                self._settled.set()
        self._settled.set()

    def _ending(self) -> str:
        try:  # its output ends a moment before it does
            return f"exit status {self._process.wait(1)}"
        except subprocess.TimeoutExpired:
            return "no answer"
