"""Bad values stop the start in words that name the variable; good ones are read."""

import json
import subprocess
from itertools import chain

import pytest
from django.conf import settings

from tests.installation import run_python
from tests.servers import ROOT, SECRET_KEY, clean_environment

BAD = [
    ("BFX_EXCHANGE", "demo", "'demo' is neither sandbox nor live"),
    ("BFX_FLUSH_MS", "fast", "'fast' is not a whole number from 0 to 1000"),
    ("BFX_FLUSH_MS", "１０", "is not a whole number"),
    ("BFX_FEED_RANGES", "0", "'0' is not a whole number from 1 to 64"),
    ("BFX_SOCKETS_PER_ADDRESS", "-1", "is not a whole number"),
    ("BFX_TRUSTED_PROXIES", "yes", "is not a whole number"),
    ("BFX_RATES", "[1]", "not a JSON object"),
    ("BFX_RATES", "{", "Expecting"),
    ("BFX_ORIGINS", "dash.example.com", "is not an origin like https://"),
    ("BFX_ORIGINS", "https://dash.example.com/path", "is not an origin like https://"),
    ("BFX_ORIGINS", "http://localhost:abc", "host or port"),
    ("BFX_PUBLIC_WS_URL", "ws://127.0.0.1:abc/ws/2", "host or port"),
    ("BFX_WS_URL", "wss://[bad/ws/2", "host or port"),
    ("BFX_PUBLIC_REST_URL", "http://127.0.0.1:99999", "host or port"),
    ("BFX_REST_URL", "http://127.0.0.1:99999", "host or port"),
    ("BFX_ENV_FILE", "/nowhere/settings", "there is no file '/nowhere/settings'"),
    ("REDIS_URL", "garbage", "not an address like redis://"),
    ("REDIS_URL", "redis://127.0.0.1:99999", "host or port"),
    ("DATABASE_URL", "postgres://u:p@127.0.0.1:99999/y", "host or port"),
    ("EMAIL_URL", "garbage", "not an address like smtp"),
    ("EMAIL_URL", "smtp://u:p@h:99999", "host or port"),
    ("DATABASE_URL", "mysql://u@h/db", "only sqlite:// and postgres:// are supported"),
    ("DATABASE_URL", "nonsense", "only sqlite:// and postgres:// are supported"),
    ("EMAIL_URL", "mail.example.com", "not an address like smtp"),
    ("EMAIL_URL", "http://mail.example.com", "not an address like smtp"),
    ("DEBUG", "maybe", "'maybe' is neither on nor off"),
    ("LOG_LEVEL", "LOUD", "'LOUD' is not a level"),
    ("SECRET_KEY_FILE", "/nowhere/key", "/nowhere/key"),
    ("SECRET_KEY", "$ecret", "names another variable, and it is not set"),
]


def manage(tmp_path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    data = {"BFX_DATA_DIR": str(tmp_path), "SECRET_KEY": SECRET_KEY}
    return run_python([str(ROOT / "manage.py"), *words], clean_environment(**(data | environ)), 60)


@pytest.mark.parametrize(("name", "value", "reason"), BAD, ids=[f"{n}={v}" for n, v, _ in BAD])
def test_bad_value_stops_the_start_with_a_message_that_names_the_variable(
    tmp_path, name, value, reason
):
    done = manage(tmp_path, "check", **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith("bfxdash cannot start: ")
    assert name in done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_part_of_a_password_is_not_repeated(tmp_path):
    done = manage(tmp_path, "check", REDIS_URL="redis://:hidden/word@127.0.0.1")
    assert done.returncode == 1
    assert "REDIS_URL" in done.stderr
    assert "hidden" not in done.stderr


def test_missing_secret_stops_the_start_with_a_message_that_names_the_variable(tmp_path):
    done = manage(tmp_path, "check", SECRET_KEY="")
    assert done.returncode == 1
    assert "SECRET_KEY is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_file_is_read_and_the_environment_wins(tmp_path):
    (tmp_path / "settings").write_text("BFX_FLUSH_MS=250\nBFX_EGRESS=file\n")
    environ = {"BFX_ENV_FILE": str(tmp_path / "settings"), "BFX_EGRESS": "environment"}
    ask = "from django.conf import settings as s; print(s.BFX_FLUSH_MS, s.BFX_EGRESS)"
    done = manage(tmp_path, "shell", "--no-imports", "-c", ask, **environ)
    assert done.stdout.split() == ["250", "environment"]


def test_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "secret").write_text("f" + SECRET_KEY)
    ask = "from django.conf import settings as s; print(s.SECRET_KEY)"
    environ = {"SECRET_KEY_FILE": str(tmp_path / "secret")}
    done = manage(tmp_path, "shell", "--no-imports", "-c", ask, SECRET_KEY="", **environ)
    assert done.stdout.strip() == "f" + SECRET_KEY


def test_live_and_sandbox_know_their_own_addresses(tmp_path):
    ask = "import json; from django.conf import settings as s; print(json.dumps(s.EXCHANGES))"
    addresses = json.loads(manage(tmp_path, "shell", "--no-imports", "-c", ask).stdout)
    assert all("127.0.0.1" in url for url in addresses["sandbox"].values())
    assert all(".bitfinex.com" in url for url in addresses["live"].values())


@pytest.mark.parametrize(
    ("origin", "cookie"),
    [
        ("http://localhost:8000", ["bfx", False, True, "Strict"]),
        ("https://dash.example.com", ["__Host-bfx", True, True, "Strict"]),
    ],
)
def test_a_session_cookie_is_for_this_host_alone(tmp_path, origin, cookie):
    names = ("NAME", "SECURE", "HTTPONLY", "SAMESITE")
    ask = (
        "import json; from django.conf import settings as s;"
        f"print(json.dumps([getattr(s, 'SESSION_COOKIE_' + name) for name in {names}]))"
    )
    done = manage(tmp_path, "shell", "--no-imports", "-c", ask, BFX_ORIGINS=origin)
    assert json.loads(done.stdout) == cookie


def test_pages_may_load_only_what_is_ours():
    policy = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    assert policy["default-src"] == ["'none'"]
    assert "'unsafe-inline'" not in chain.from_iterable(policy.values())
    assert policy["connect-src"] == ["'self'", *settings.SOCKET_ORIGINS]


def test_database_of_the_profile_is_set_up_for_several_writers(profile):
    options = settings.DATABASES["default"]["OPTIONS"]
    if profile == "embedded":
        assert options["transaction_mode"] == "IMMEDIATE"
        assert "journal_mode=WAL" in options["init_command"]
    else:
        assert options["pool"]["max_size"] == 20
