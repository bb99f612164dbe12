"""Finds a Chromium for the browser tests, or brings one. Without one they fail; they never skip."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "chromium"
UNPACKED = CACHE / "chromium"
ON_PATH = ("chromium-headless-shell", "chromium", "google-chrome")
NPM = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
PACKED = HERE / "node_modules" / "@sparticuz" / "chromium" / "bin" / "chromium.br"
UNPACK = (
    "const [from, to] = process.argv.slice(1);"
    "require('fs').createReadStream(from).pipe(require('zlib').createBrotliDecompress())"
    ".pipe(require('fs').createWriteStream(to, {mode: 0o755}));"
)
ADVICE = "no Chromium: `apt-get install chromium-headless-shell`, or set BFX_BROWSER to its path"
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> Path:
    """The browser's program. Raises FileNotFoundError, saying what helps."""
    chosen = os.environ.get("BFX_BROWSER")
    if chosen:
        return Path(chosen)
    for name in ON_PATH:
        found = shutil.which(name)
        if found:
            return Path(found)
    for program in [*playwrights_own(), UNPACKED]:
        if program.exists():
            return program
    return from_playwright() or from_npm()


def playwrights_own() -> Iterator[Path]:
    default = Path.home() / ".cache" / "ms-playwright"
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", default))
    yield from sorted(folder.glob("chromium*/chrome-*/*headless*shell"), reverse=True)


def from_playwright() -> Path | None:
    install = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    done = subprocess.run(install, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    return next(playwrights_own(), None) if done.returncode == 0 else None


def from_npm() -> Path:
    if not PACKED.exists():
        done = subprocess.run(NPM, cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise FileNotFoundError(ADVICE)
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = CACHE / f"chromium.{os.getpid()}"
    subprocess.run(["node", "-e", UNPACK, PACKED, draft], check=True, stdin=subprocess.DEVNULL)
    draft.replace(UNPACKED)
    return UNPACKED


def launch_options() -> dict[str, object]:
    """What Playwright needs to start it. Chromium has no sandbox of its own for root."""
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    return {"executable_path": str(find_chromium()), "args": flags}
