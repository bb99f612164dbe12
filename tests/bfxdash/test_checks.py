"""Unsafe settings are refused, and the refusal names the variable."""

from types import SimpleNamespace

import pytest
from django.core import checks

from bfxdash.checks import REFUSALS, is_loopback, refuse_unsafe_settings, silence, warn_of_silence
from tests.servers import SECRET_KEY

SQLITE = "django.db.backends.sqlite3"
POSTGRES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "bfxdash"}}
LIVE = {"BFX_EXCHANGE": "live", "BFX_REST_URL": "https://api.bitfinex.com"}
REFUSED = [
    ("SECRET_KEY", {"SECRET_KEY": ""}, "is missing"),
    ("SECRET_KEY", {"SECRET_KEY": "short"}, "is weak"),
    ("SECRET_KEY", {"SECRET_KEY": "ab" * 40}, "is weak"),
    ("SECRET_KEY", {"SECRET_KEY": "django-insecure-" + SECRET_KEY}, "is weak"),
    ("ALLOWED_HOSTS", {"ALLOWED_HOSTS": ["dash.example.com", "*"]}, "contains '*'"),
    ("ALLOWED_HOSTS", {"ALLOWED_HOSTS": []}, "is empty"),
    ("DEBUG", {"DEBUG": True, "BFX_EXCHANGE": "live"}, "with the real exchange"),
    ("DEBUG", {"DEBUG": True, "BFX_ORIGINS": ["https://dash.example.com"]}, "others reach"),
    ("BFX_REST_URL", {"BFX_REST_URL": "http://10.0.0.7:8900"}, "only https:// is allowed"),
    ("BFX_REST_URL", {"BFX_REST_URL": "http://127.0.0.1:8900/v2"}, "has the path '/v2'"),
    ("BFX_REST_URL", {"BFX_REST_URL": "https://me:secret@example.com"}, "carries a name"),
    ("BFX_REST_URL", {"BFX_REST_URL": "api.bitfinex.com"}, "is not an address"),
    ("BFX_PUBLIC_REST_URL", {"BFX_PUBLIC_REST_URL": "http://example.com"}, "only https://"),
    ("BFX_WS_URL", {"BFX_WS_URL": "ws://example.com/ws/2"}, "only wss:// is allowed"),
    ("BFX_PUBLIC_WS_URL", {"BFX_PUBLIC_WS_URL": "https://example.com/ws/2"}, "not an address"),
    ("BFX_WS_URL", {"BFX_WS_URL": "wss://api.bitfinex.com/ws/2"}, "is the real exchange"),
    ("BFX_ORIGINS", {"BFX_ORIGINS": []}, "is empty"),
    ("BFX_ORIGINS", {"BFX_ORIGINS": ["http://192.168.1.5:8000"]}, "only https:// is allowed"),
    ("BFX_ORIGINS", {"BFX_ORIGINS": ["http://localhost", "https://a.example"]}, "mixes"),
    ("BFX_TRUSTED_PROXIES", {"SECURE_ORIGIN": True, "BFX_TRUSTED_PROXIES": 0}, "is 0"),
    ("BFX_RATES", {"BFX_RATES": {"window": 0}}, "window: 0 is not above 0"),
    ("BFX_RATES", {"BFX_RATES": {"window": float("nan")}}, "window: nan is not a number"),
    ("BFX_RATES", {"BFX_RATES": {"ws": 9}, **LIVE}, "the exchange is the real one"),
    ("BFX_EGRESS", {"BFX_EGRESS": ""}, "is not a name"),
    ("BFX_EGRESS", {"BFX_EGRESS": "home|public"}, "is not a name"),
    ("REDIS_URL", {"DATABASES": POSTGRES, "REDIS_URL": ""}, "is missing"),
]


@pytest.fixture
def good(tmp_path):
    """Settings as `up` makes them, in a folder of their own."""
    tmp_path.chmod(0o700)
    rest, ws = "http://127.0.0.1:8900", "ws://127.0.0.1:8900/ws/2"
    return SimpleNamespace(
        SECRET_KEY=SECRET_KEY,
        ALLOWED_HOSTS=["localhost"],
        DEBUG=False,
        BFX_EXCHANGE="sandbox",
        BFX_PUBLIC_REST_URL=rest,
        BFX_REST_URL=rest,
        BFX_PUBLIC_WS_URL=ws,
        BFX_WS_URL=ws,
        BFX_ORIGINS=["http://localhost:8000"],
        BFX_TRUSTED_PROXIES=0,
        BFX_RATES={},
        BFX_EGRESS="default",
        SECURE_ORIGIN=False,
        REDIS_URL="",
        BFX_DATA_DIR=tmp_path,
        DATABASES={"default": {"ENGINE": SQLITE, "NAME": tmp_path / "db" / "x.sqlite3"}},
    )


def found(settings) -> list[str]:
    return [message.msg for refusal in REFUSALS for message in refusal.messages(settings)]


def test_settings_as_up_makes_them_are_fine(good):
    assert found(good) == []


@pytest.mark.parametrize(
    ("variable", "changes", "reason"), REFUSED, ids=[f"{v}-{r}" for v, _, r in REFUSED]
)
def test_unsafe_value_is_refused_by_the_name_of_its_variable(good, variable, changes, reason):
    for name, value in changes.items():
        setattr(good, name, value)
    (message,) = found(good)
    assert message.startswith(f"{variable} ")
    assert reason in message


@pytest.mark.parametrize("folder", [".", "keys"])
def test_data_folder_that_others_can_read_is_refused(good, tmp_path, folder):
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / folder).chmod(0o750)
    (message,) = found(good)
    assert message.startswith("BFX_DATA_DIR is readable by others: `chmod go= ")


def test_key_file_that_others_can_read_is_refused(good, tmp_path):
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "secret_key").touch(mode=0o644)
    (tmp_path / "keys" / "secret_key").chmod(0o644)
    (message,) = found(good)
    assert message.endswith("/keys/secret_key`")


def test_database_file_elsewhere_that_others_can_read_is_refused(good, tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    folder.chmod(0o755)
    (folder / "db.sqlite3").touch(mode=0o644)
    good.DATABASES["default"]["NAME"] = folder / "db.sqlite3"
    (message,) = found(good)
    assert message.startswith("DATABASE_URL is a file that others can read")
    folder.chmod(0o700)
    assert found(good) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "dash.localhost"])
def test_this_machine_is_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", None, "localhost.example.com", "10.0.0.1", "0.0.0.0"])
def test_any_other_host_is_not_loopback(host):
    assert not is_loopback(host)


def test_the_checks_are_registered_and_each_is_tried_here():
    assert refuse_unsafe_settings in checks.registry.registry.get_checks()
    tried = {variable for variable, _, _ in REFUSED} | {"BFX_DATA_DIR", "DATABASE_URL"}
    assert {refusal.variable for refusal in REFUSALS} == tried


@pytest.mark.parametrize(
    ("command", "redis_url", "warned"),
    [
        ("serve", "", True),
        ("feed", "", True),
        ("up", "", False),
        ("serve", "redis://127.0.0.1", False),
    ],
)
def test_processes_that_cannot_hear_each_other_are_warned_of(good, command, redis_url, warned):
    good.REDIS_URL = redis_url
    said = list(silence(good, [command]))
    assert ["is missing: serve and feed" in reason for reason in said] == [True] * warned


def test_the_warning_names_the_variable(monkeypatch, profile):
    monkeypatch.setattr("sys.argv", ["manage.py", "serve"])
    said = [message.msg for message in warn_of_silence(None)]
    assert [text.split(":")[0] for text in said] == ["REDIS_URL is missing"] * (
        profile == "embedded"
    )
