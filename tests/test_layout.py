"""The shape of the project, as far as a text or a syntax tree can show it.

What may import what is in `pyproject.toml`, for import-linter.
"""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("accounts", "bfxdash", "market")
# Modules without a test module of their own, and what tests them instead.
DECLARATIONS = {"__init__.py", "apps.py", "asgi.py", "routing.py", "urls.py"}  # every view's test
COMMANDS = "management/commands"  # run as real processes, see `runs_of_command`
ELSEWHERE = {
    "market/bitfinex/events.py": "tests/market/bitfinex/test_stream.py",  # what a stream tells
    "market/bitfinex/subscriptions.py": "tests/market/bitfinex/test_stream.py",  # what it remembers
    "market/feed/listing.py": "tests/market/feed/test_service.py",
    "market/feed/ports.py": "tests/market/feed/test_runner.py",  # says only what is outside
}
# The other side of every conversation: tested from outside, as its clients meet it.
FROM_OUTSIDE = ("market/sandbox/",)
READERS_OF_THE_ENVIRONMENT = {
    "bfxdash/asgi.py",  # only says where the settings are, for other people's servers
    "bfxdash/bootstrap.py",  # runs before there are settings
    "bfxdash/copies.py",  # passes it on to PostgreSQL's programs
    "bfxdash/gate.py",  # keeps a developer's settings out of the checks
    "bfxdash/launch.py",  # completes the environment for the settings
    "bfxdash/settings.py",
    "market/sandbox/app.py",  # imports nothing of the project, so it reads BFX_RATES itself
}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv"}
NO_NAMES = {"common", "helpers", "misc", "utils"}
UNSAFE_HTML = re.compile(r"\bmark_safe\b|\bSafeString\b|\bSafeText\b")
UNSAFE_TEMPLATE = re.compile(
    r"\|\s*safe\b|autoescape\s+off|\sstyle\s*=|\son[a-z]+\s*=|javascript:|<style|<script(?![^>]*\bsrc=)",
    re.IGNORECASE,
)
UNSAFE_SCRIPT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\.cssText"
)
EXACT = ("accounts/", "market/bitfinex/", "market/funding.py", "market/orders.py")


def modules() -> list[str]:
    found = (path for app in APPS for path in (ROOT / app).rglob("*.py"))
    return sorted(str(p.relative_to(ROOT)) for p in found if "migrations" not in p.parts)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text())


def calls(module: str) -> set[str]:
    nodes = ast.walk(tree(module))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


def attributes(module: str) -> set[str]:
    nodes = ast.walk(tree(module))
    return {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}


def has_own_test(module: str) -> bool:
    path = Path(module)
    folder = ROOT / "tests" / path.parent
    name = path.stem.strip("_")
    return any(folder.glob(f"test_{name}.py")) or any(folder.glob(f"test_{name}_*.py"))


def runs_of_command(name: str) -> list[Path]:
    """A command is tested as its users run it, wherever that is."""
    words = re.compile(rf"manage\.py {name}\b|\"{name}\"|'{name}'")
    return [path for path in (ROOT / "tests").rglob("*.py") if words.search(path.read_text())]


def test_every_module_has_a_test_module_of_its_own():
    expected = [m for m in modules() if Path(m).name not in DECLARATIONS and COMMANDS not in m]
    inside = [m for m in expected if not m.startswith(FROM_OUTSIDE)]
    assert [m for m in inside if not has_own_test(m) and m not in ELSEWHERE] == []
    assert [test for test in ELSEWHERE.values() if not (ROOT / test).is_file()] == []


def test_every_command_is_run_by_a_test():
    commands = [Path(m).stem for m in modules() if COMMANDS in m and not m.endswith("__init__.py")]
    assert [command for command in commands if not runs_of_command(command)] == []


def test_exceptions_are_still_needed():
    assert [m for m in ELSEWHERE if m not in modules() or has_own_test(m)] == []


def test_every_test_module_tests_something_that_exists():
    stray = []
    for app in APPS:
        for path in (ROOT / "tests" / app).rglob("test_*.py"):
            folder = ROOT / path.parent.relative_to(ROOT / "tests")
            name = path.stem.removeprefix("test_")
            known = {m.stem.strip("_") for m in folder.glob("*.py")}
            if not any(name == one or name.startswith(f"{one}_") for one in known):
                stray.append(str(path.relative_to(ROOT)))
    assert stray == []


def test_no_module_is_a_drawer_for_odds_and_ends():
    assert [m for m in modules() if NO_NAMES & {*Path(m).parts, Path(m).stem}] == []


def test_only_the_settings_read_the_environment():
    others = set(modules()) - READERS_OF_THE_ENVIRONMENT
    assert sorted(m for m in others if ENVIRONMENT & attributes(m)) == []


def test_the_set_up_needs_nothing_that_is_not_installed_yet():
    imports = [n for n in ast.walk(tree("bfxdash/bootstrap.py")) if isinstance(n, ast.Import)]
    froms = [n for n in ast.walk(tree("bfxdash/bootstrap.py")) if isinstance(n, ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names} | {n.module for n in froms}
    assert {str(name).partition(".")[0] for name in names} <= sys.stdlib_module_names
    others = [m for m in modules() if "bfxdash.bootstrap" in (ROOT / m).read_text()]
    assert others == []


def test_what_is_traded_with_never_becomes_a_float():
    assert [m for m in modules() if m.startswith(EXACT) and "float" in calls(m)] == []


def test_nothing_about_keys_is_written_as_a_float():
    found = set()
    for module in (m for m in modules() if m.startswith("accounts/")):
        values = (getattr(node, "value", None) for node in ast.walk(tree(module)))
        found |= {module for value in values if isinstance(value, float)}
    assert found == set()


def test_no_module_marks_text_as_safe_html():
    assert [m for m in modules() if UNSAFE_HTML.search((ROOT / m).read_text())] == []


def test_nobody_reconnects_without_a_budget():
    """`async for socket in connect(…)` comes back at once, hundreds of times a second."""
    loops = [(m, n) for m in modules() for n in ast.walk(tree(m)) if isinstance(n, ast.AsyncFor)]
    assert [m for m, loop in loops if "connect(" in ast.unparse(loop.iter)] == []


@pytest.mark.parametrize(
    ("folder", "kind", "forbidden"),
    [("templates", "*.html", UNSAFE_TEMPLATE), ("static", "*.js", UNSAFE_SCRIPT)],
)
def test_pages_keep_to_the_content_security_policy(folder, kind, forbidden):
    found = {
        str(path.relative_to(ROOT)): forbidden.findall(path.read_text())
        for path in (ROOT / folder).rglob(kind)
    }
    assert found
    assert {path: hits for path, hits in found.items() if hits} == {}


def test_every_setting_is_explained_in_the_example():
    """Each variable that the settings read stands in `.env.example`, and no other."""
    source = ast.parse((ROOT / "bfxdash" / "settings.py").read_text())
    read = {
        str(node.args[0].value)
        for node in ast.walk(source)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"read", "env.str"}
        and isinstance(node.args[0], ast.Constant)
    }
    example = (ROOT / ".env.example").read_text()
    listed = set(re.findall(r"^#?([A-Z][A-Z_]+)=", example, re.MULTILINE))
    ours_to_read_not_yours_to_set = {"CREDENTIALS_DIRECTORY", "BFX_ENV_FILE"}
    assert listed == read - ours_to_read_not_yours_to_set
