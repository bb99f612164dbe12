"""The quality gate: every check of the project, in one run, with a table at its end.

Every step runs even if another one failed. A few run at a time: first those that only read the
code, then the tests, once on each profile and apart for browsers. Most tests wait for some process
of theirs, so that all of them together keep two cores busy.
"""

import base64
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".cache" / "test"
BYTECODE = ROOT / ".cache" / "bytecode"
NODE_BIN = ROOT / "node_modules" / ".bin"
AT_ONCE = 4  # steps
WORKERS = {"embedded": 3, "scaled": 2}  # what no profile changes runs on the first one
BROWSERS = {"embedded": 2, "scaled": 1}
OVERALL_COVERAGE = 90
# Where a missed branch can cost an IP block, an order or a key: every branch is tested.
CORE = (
    "accounts/nonces.py",
    "accounts/signer.py",
    "accounts/signing.py",
    "accounts/vault.py",
    "market/bitfinex/*",
    "market/budget.py",
    "market/client.py",
    "market/feed/plan.py",
    "market/feeds.py",
    "market/hub.py",
    "market/intents.py",
    "market/lease.py",
    "market/limiter.py",
    "market/limits.py",
    "market/order_checks.py",
    "market/orders.py",
    "market/quotes.py",
    "market/rates.py",
    "market/resolver.py",
)
PRODUCTION = {
    "SECRET_KEY": "checked-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGH",
    "ALLOWED_HOSTS": "dash.example.com",
    "BFX_ORIGINS": "https://dash.example.com",
    "BFX_TRUSTED_PROXIES": "1",
    "BFX_EXCHANGE": "live",
    "DATABASE_URL": "postgres://bfxdash@127.0.0.1/bfxdash",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}
DJANGO_SETTINGS = {"SECRET_KEY", "SECRET_KEY_FALLBACKS", "ALLOWED_HOSTS", "DEBUG", "DATABASE_URL"}
OTHER_SETTINGS = {"REDIS_URL", "EMAIL_URL", "LOG_JSON", "LOG_LEVEL", "DJANGO_SETTINGS_MODULE"}
COUNTED = "embedded"
COVERAGE = {"COVERAGE_FILE": str(RESULTS / ".coverage")}
OF_TESTS = {"BFX_TEST_PROFILE", "BFX_RECORDINGS", "BFX_BROWSER", "BFX_SCREENSHOTS"}


@dataclass
class Step:
    name: str
    command: Sequence[str | Path]
    environ: dict[str, str] = field(default_factory=dict)
    report: Path | None = None  # where pytest counts its tests
    passed: bool = False
    seconds: float = 0.0

    def run(self, *, show: bool) -> None:
        """Runs to its end. `show` lets its output through as it comes; else only a failure's."""
        started = time.monotonic()
        done = subprocess.run(
            self.command,
            cwd=ROOT,
            env=clean_environment(**self.environ),
            stdin=subprocess.DEVNULL,
            stdout=None if show else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seconds = time.monotonic() - started
        self.passed = done.returncode == 0
        if not show and not self.passed:
            print(f"\n--- {self.name} ---\n{done.stdout}", flush=True)

    def run_beside_others(self) -> None:
        """Says when it is done, since a run takes minutes."""
        self.run(show=False)
        print(f"{self.name}: {self.verdict} ({self.seconds:.0f} s)", flush=True)

    @property
    def verdict(self) -> str:
        return "ok" if self.passed else "FAILED"

    def counts(self) -> dict[str, int]:
        """How many tests passed, failed and were skipped; a run without a report failed once."""
        if self.report is None:
            return {}
        if not self.report.is_file():
            return {"failed": 1}
        names = ("tests", "failures", "errors", "skipped")
        suites = ElementTree.parse(self.report).getroot().iter("testsuite")  # noqa: S314  our own
        sums = dict.fromkeys(names, 0)
        for suite in suites:
            for name in names:
                sums[name] += int(suite.get(name, 0))
        failed = sums["failures"] + sums["errors"]
        passed = sums["tests"] - failed - sums["skipped"]
        return {"passed": passed, "failed": failed, "skipped": sums["skipped"]}


def run_gate(*, full: bool) -> int:
    """Runs every step; returns the exit status."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.iterdir():
        old.unlink()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bfx-gate-") as folder:
        reading, testing = list(reading_steps(Path(folder))), list(testing_steps())
        for steps in (reading, testing):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(Step.run_beside_others, steps))
    beside = [*reading, *testing]
    alone = [*full_steps(), *coverage_steps()] if full else list(coverage_steps())
    for step in alone:
        print(f"\n--- {step.name} ---", flush=True)
        step.run(show=True)
    return summarise([*beside, *alone], time.monotonic() - started)


def run_pytest(words: Sequence[str]) -> int:
    """Only pytest, with these arguments."""
    step = Step("pytest", python("-m", "pytest", *words))
    step.run(show=True)
    return 0 if step.passed else 1


def reading_steps(folder: Path) -> Iterator[Step]:
    """The checks that only read the code. `folder` is theirs for what Django wants to have."""
    # It also compiles the tests, once for all the processes that will run them.
    yield Step("tests are found", python("-m", "pytest", "-q", "--collect-only"))
    manage = python("manage.py")
    settings = {"BFX_DATA_DIR": str(folder), "SECRET_KEY": PRODUCTION["SECRET_KEY"]}
    yield Step("types", python("-m", "mypy"))
    yield Step("format", python("-m", "ruff", "format", "--check", "."))
    yield Step("lint", python("-m", "ruff", "check", "."))
    yield Step("imports", [Path(sys.prefix) / "bin" / "lint-imports"])
    yield Step("templates", python("-m", "djlint", "--lint", "templates"))
    scripts = ["static", "tests/js", "types", "biome.json", "package.json", "tsconfig.json"]
    yield Step("page code", [NODE_BIN / "biome", "ci", *scripts])
    yield Step("page types", [NODE_BIN / "tsc"])
    tests = sorted((ROOT / "tests" / "js").rglob("*.test.js"))
    yield Step("page tests", ["node", "--test", *tests])
    (folder / "db").mkdir()
    yield Step("migrations", [*manage, "makemigrations", "--check", "--dry-run"], settings)
    make_master_key(folder / "keys" / "master_key")
    deploy = [*manage, "check", "--deploy", "--fail-level", "WARNING"]
    yield Step("production settings", deploy, settings | PRODUCTION)


def make_master_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_text(f"v1:{base64.b64encode(os.urandom(32)).decode()}\n")


def testing_steps() -> Iterator[Step]:
    """The tests, the longest first. What they reach is counted on the first profile."""
    for profile, workers in WORKERS.items():
        counted = ("--cov", "--cov-report=") if profile == COUNTED else ()
        options = ("--ignore=tests/browser", *share_out(workers), *counted)
        yield pytest_step(f"tests, {profile}", profile, "not full", *options)
    for profile, workers in BROWSERS.items():
        options = ("tests/browser", *share_out(workers))
        yield pytest_step(f"browser, {profile}", profile, "not full", *options)


def share_out(workers: int) -> tuple[str, ...]:
    return ("-n", str(workers), "--dist", "worksteal")


def full_steps() -> Iterator[Step]:
    """The big sizes, whose figures want the machine for themselves."""
    yield pytest_step("full sizes", "embedded", "full", "--full")


def coverage_steps() -> Iterator[Step]:
    """How much of the code the tests reached."""
    coverage = python("-m", "coverage")
    core = ["report", "--fail-under=100", f"--include={','.join(CORE)}", "--skip-covered"]
    yield Step("coverage, core", [*coverage, *core], COVERAGE)
    overall = ["report", f"--fail-under={OVERALL_COVERAGE}", "--format=total"]
    yield Step("coverage, overall", [*coverage, *overall], COVERAGE)


def pytest_step(name: str, profile: str, marks: str, *options: str) -> Step:
    report = RESULTS / f"{name.replace(', ', '-').replace(' ', '-')}.xml"
    command = python("-m", "pytest", "-q", "-m", marks, f"--junitxml={report}", *options)
    return Step(name, command, {"BFX_TEST_PROFILE": profile, **COVERAGE}, report)


def summarise(steps: Sequence[Step], seconds: float) -> int:
    """The table; returns the exit status. `seconds` is what all of it took."""
    width = max(len(step.name) for step in steps)
    print("\n--- summary ---")
    for step in steps:
        counts = ", ".join(f"{number} {word}" for word, number in step.counts().items() if number)
        print(f"{step.name:{width}}  {step.verdict:6}  {step.seconds:6.1f} s  {counts}".rstrip())
    totals = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for step in steps:
        for word, number in step.counts().items():
            totals[word] += number
    failed_checks = [step.name for step in steps if not step.passed]
    print(f"{'together':{width}}          {seconds:6.1f} s")
    print(f"failed: {', '.join(failed_checks)}" if failed_checks else "every check is ok")
    print(", ".join(f"{number} {word}" for word, number in totals.items()), flush=True)
    return 1 if failed_checks else 0


def python(*words: str) -> list[str | Path]:
    return [sys.executable, *words]


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment with these settings only, so that a developer's own cannot leak in.

    Hundreds of processes start in one run: each reads what the first of them has compiled, even
    where the environment asks Python to leave no compiled files beside the sources.
    """
    kept = {name: text for name, text in os.environ.items() if not is_setting(name)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    compiled = {"PYTHONPYCACHEPREFIX": str(BYTECODE)}
    return {**kept, **compiled, "BFX_ENV_FILE": os.devnull, **settings}


def is_setting(name: str) -> bool:
    name = name.removesuffix("_FILE")
    if name in OF_TESTS:
        return False
    return name.startswith("BFX_") or name in DJANGO_SETTINGS | OTHER_SETTINGS
