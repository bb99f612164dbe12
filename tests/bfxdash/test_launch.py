"""What `up` settles before the settings are read."""

import fcntl
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bfxdash import launch
from bfxdash.launch import CannotStart, make_secret_key, port_number, prepare_up
from tests.servers import SECRET_KEY, clean_environment


@pytest.fixture
def environment(tmp_path):
    """Of a machine that says nothing but where the data lies."""
    yield {"BFX_ENV_FILE": os.devnull, "BFX_DATA_DIR": str(tmp_path / "data")}
    while launch.HELD:
        os.close(launch.HELD.popitem()[1])


@pytest.fixture
def taken_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def chosen(words: list[str], option: str) -> str:
    return words[len(words) - words[::-1].index(option)]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_that_is_kept_is_for_its_owner_only(environment, tmp_path):
    prepare_up([], environment)
    folders = [tmp_path / "data", tmp_path / "data" / "keys", tmp_path / "data" / "db"]
    assert [mode_of(folder) for folder in folders] == [0o700] * 3
    assert mode_of(tmp_path / "data" / "keys" / "secret_key") == 0o600


def test_secret_key_is_made_once_and_strong(tmp_path):
    path = tmp_path / "secret_key"
    make_secret_key(path)
    key = path.read_text()
    make_secret_key(path)
    assert path.read_text() == key
    assert len(key.strip()) >= 50
    assert list(tmp_path.iterdir()) == [path]


def test_key_of_a_quicker_start_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "secret_key"
    path.write_text("theirs")
    monkeypatch.setattr(Path, "exists", lambda self: False)  # as it was a moment ago
    make_secret_key(path)
    assert path.read_text() == "theirs"


def test_data_folder_may_be_chosen_and_is_made_absolute(environment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepare_up(["--data-dir", "elsewhere"], environment)
    assert environment["BFX_DATA_DIR"] == str(tmp_path / "elsewhere")


def test_data_folder_that_cannot_be_made_is_named(environment, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=r"BFX_DATA_DIR: .*/file/data: Not a directory"):
        prepare_up(["--data-dir", str(tmp_path / "file" / "data")], environment)


def test_a_second_start_on_one_data_folder_is_refused_until_the_first_is_dead(
    environment, tmp_path
):
    folder = tmp_path.resolve()
    hold = "import sys, pathlib; from bfxdash import launch; launch.hold(pathlib.Path(sys.argv[1]))"
    with subprocess.Popen(
        [sys.executable, "-c", f"{hold}; print('held', flush=True); input()", folder],
        cwd=launch.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(CannotStart, match=f"another bfxdash already runs on {folder}"):
            launch.hold(folder)
        first.kill()
    launch.hold(folder)


def test_up_holds_its_data_folder(environment, tmp_path):
    prepare_up([], environment)
    file = tmp_path / "data" / "up.lock"
    assert mode_of(file) == 0o600
    with file.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_settings_file_that_is_named_and_absent_is_said(environment, tmp_path):
    environment["BFX_ENV_FILE"] = str(tmp_path / "absent")
    with pytest.raises(CannotStart, match="BFX_ENV_FILE: there is no file"):
        prepare_up([], environment)
    assert not (tmp_path / "data").exists()


@pytest.mark.once
def test_migrate_makes_the_folder_of_the_database(tmp_path):
    data = tmp_path / "fresh"
    done = subprocess.run(
        [sys.executable, launch.BASE_DIR / "manage.py", "migrate", "--plan"],
        env=clean_environment(BFX_DATA_DIR=str(data), SECRET_KEY=SECRET_KEY),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, mode_of(data), mode_of(data / "db")) == (0, 0o700, 0o700), done.stderr


def test_the_sandbox_is_where_the_settings_look_for_the_exchange(environment):
    words = prepare_up([], environment)
    port = chosen(words, "--sandbox-port")
    assert environment["BFX_EXCHANGE"] == "sandbox"
    assert environment["BFX_PUBLIC_REST_URL"] == f"http://127.0.0.1:{port}"
    assert environment["BFX_WS_URL"] == f"ws://127.0.0.1:{port}/ws/2"


def test_addresses_that_were_given_stay(environment):
    environment["BFX_PUBLIC_REST_URL"] = "http://127.0.0.1:1"
    prepare_up([], environment)
    assert environment["BFX_PUBLIC_REST_URL"] == "http://127.0.0.1:1"


@pytest.mark.parametrize("words", [["--live"], ["--no-sandbox"]])
def test_no_sandbox_where_none_is_wanted(environment, words):
    assert "--no-sandbox" in prepare_up(words, environment)
    assert not launch.URLS.keys() & environment.keys()


def test_no_sandbox_when_every_address_is_given(environment):
    environment |= dict.fromkeys(launch.URLS, "http://127.0.0.1:1")
    assert "--no-sandbox" in prepare_up([], environment)


def test_live_is_what_the_option_or_the_environment_says(environment):
    prepare_up(["--live"], environment)
    assert environment["BFX_EXCHANGE"] == "live"
    assert "--no-sandbox" in prepare_up([], environment)


def test_browsers_are_expected_at_the_chosen_port(environment):
    port = chosen(prepare_up([], environment), "--port")
    assert environment["BFX_ORIGINS"] == f"http://localhost:{port},http://127.0.0.1:{port}"
    environment["BFX_ORIGINS"] = "https://dash.example.com"
    prepare_up([], environment)
    assert environment["BFX_ORIGINS"] == "https://dash.example.com"


def test_next_free_port_is_taken_when_none_is_asked_for(taken_port):
    ports = range(taken_port, taken_port + 50)
    assert taken_port < launch.first_free("127.0.0.1", ports) < taken_port + 50


def test_no_free_port_is_said(taken_port):
    with pytest.raises(CannotStart, match=r"every port from \d+ to \d+ is taken"):
        launch.first_free("127.0.0.1", range(taken_port, taken_port + 1))


@pytest.mark.parametrize("option", ["--port", "--sandbox-port"])
def test_port_that_was_asked_for_and_is_taken_is_said(environment, taken_port, option):
    with pytest.raises(CannotStart, match=f"{option}: port {taken_port} on 127.0.0.1 is taken"):
        prepare_up([option, str(taken_port)], environment)


def test_unknown_host_is_said(environment):
    with pytest.raises(CannotStart, match=r"--host: 127\.0\.0\.300"):
        prepare_up(["--host", "127.0.0.300"], environment)


def test_a_recording_is_not_silently_left_out_for_another_exchange(environment, tmp_path):
    (tmp_path / "recording").touch()
    environment |= dict.fromkeys(launch.URLS, "http://127.0.0.1:1")
    with pytest.raises(CannotStart, match="--replay needs the sandbox exchange"):
        prepare_up(["--replay", str(tmp_path / "recording")], environment)


@pytest.mark.parametrize("words", [["--live"], ["--no-sandbox"]])
def test_a_recording_needs_the_sandbox(environment, words, tmp_path):
    (tmp_path / "recording").touch()
    with pytest.raises(CannotStart, match="--replay needs the sandbox exchange"):
        prepare_up(["--replay", str(tmp_path / "recording"), *words], environment)


def test_missing_recording_is_named(environment):
    with pytest.raises(CannotStart, match="--replay: there is no file /nowhere"):
        prepare_up(["--replay", "/nowhere"], environment)


@pytest.mark.parametrize("raw", ["0", "65536", "-1", "http", "８０"])
def test_a_port_is_a_number_in_range(raw):
    with pytest.raises(Exception, match="is not a port from 1 to 65535"):
        port_number(raw)
