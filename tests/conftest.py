"""Settings for the test run, and the servers and fixtures that every room shares.

`BFX_TEST_PROFILE` decides where the same tests run: `embedded` (the default) on an SQLite file and
the in-process channel layer, `scaled` on a real PostgreSQL and a real Redis.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import django
import hypothesis
import pytest
from django.conf import settings

from bfxdash.gate import is_setting
from tests import servers
from tests.installation import MigratedDatabases

PROFILE = os.environ.get("BFX_TEST_PROFILE", "embedded")
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ  # of pytest-xdist; its controller came first
STARTED = ExitStack()
# What is the same on every profile runs once, on the embedded one: it touches neither the database
# nor the layer of the run, or brings both databases itself, or looks at what pages alone decide:
# their markup, and what they take from whom.
ONCE = (
    "accounts/test_errors.py",
    "accounts/test_master_key.py",
    "accounts/test_middleware_g15.py",
    "accounts/test_passwords.py",
    "accounts/test_permissions.py",
    "accounts/test_policy.py",
    "accounts/test_revoked_log.py",
    "accounts/test_signing.py",
    "accounts/test_vault.py",
    "accounts/views/test_keys_g16.py",
    "accounts/views/test_shown.py",
    "bench/",
    "bfxdash/test_bootstrap.py",
    "bfxdash/test_edge.py",
    "bfxdash/test_gate.py",
    "bfxdash/test_launch.py",
    "bfxdash/test_sandbox_child.py",
    "bfxdash/test_server.py",
    "bfxdash/test_settings.py",
    "browser/test_accounts_access.py",
    "browser/test_accounts_text.py",
    "browser/test_orders_access.py",
    "browser/test_screenshots.py",
    "browser/test_tickers_access.py",
    "browser/test_tickers_recording.py",
    "faults/test_canary.py",
    "faults/test_feed_faults.py",
    "faults/test_order_fuzz_g08_g09.py",
    "faults/test_order_limits.py",
    "faults/test_order_processes.py",
    "faults/test_restore.py",
    "faults/test_revocation.py",
    "faults/test_rotation.py",
    "faults/test_socket_abuse.py",
    "faults/test_socket_crowds.py",
    "faults/test_socket_layer_loss.py",
    "faults/test_socket_slow_readers.py",
    "integration/test_account_processes.py",
    "integration/test_limiter_processes.py",
    "integration/test_sandbox_",
    "integration/test_socket_",
    "market/bitfinex/",
    "market/feed/test_connection.py",
    "market/feed/test_fleet.py",
    "market/feed/test_holder.py",
    "market/feed/test_plan.py",
    "market/feed/test_publisher.py",
    "market/feed/test_runner.py",
    "market/feed/test_service.py",
    "market/feed/test_status.py",
    "market/feed/test_table.py",
    "market/sandbox/",
    "market/test_display.py",
    "market/test_forms_g10.py",
    "market/test_frames.py",
    "market/test_history.py",
    "market/test_hub.py",
    "market/test_instruments.py",
    "market/test_invalid_words.py",
    "market/test_limits.py",
    "market/test_listing.py",
    "market/test_order_checks.py",
    "market/test_order_errors.py",
    "market/test_order_words.py",
    "market/test_quotes.py",
    "market/test_rates.py",
    "market/test_transport.py",
    "market/views/test_order_shown.py",
    "market/views/test_refusals.py",
    "market/views/test_spreadsheet.py",
    "market/views/test_ticker_page.py",
    "test_layout.py",
)
pytest_plugins = ["tests.factories", "tests.signing_keys", "tests.trading"]

hypothesis.settings.register_profile("tests", deadline=None)  # machines are slow at times
hypothesis.settings.load_profile("tests")


def prepare_environment() -> None:
    """Starts what the profile needs and points the settings there, before Django reads them.

    One PostgreSQL serves the whole run, in a database for each worker. Redis has no such rooms
    for its channels, so each worker gets its own.
    """
    if PROFILE not in {"embedded", "scaled"}:
        raise pytest.UsageError(f"BFX_TEST_PROFILE: '{PROFILE}' is neither embedded nor scaled")
    if settings.configured:
        raise pytest.UsageError("DJANGO_SETTINGS_MODULE is set: unset it, tests have their own")
    if not IS_WORKER:
        for name in filter(is_setting, list(os.environ)):
            del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="bfx-tests-"))
    STARTED.callback(shutil.rmtree, folder, ignore_errors=True)
    (folder / "db").mkdir()
    (folder / "static").mkdir()
    os.environ["BFX_ENV_FILE"] = os.devnull
    os.environ["BFX_DATA_DIR"] = str(folder)
    os.environ["SECRET_KEY"] = servers.SECRET_KEY
    if PROFILE == "scaled":
        if not IS_WORKER:
            postgres = servers.Postgres()
            STARTED.callback(postgres.stop)
            os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"] = postgres.url
        redis = servers.Redis()
        STARTED.callback(redis.stop)
        os.environ["REDIS_URL"] = redis.url
    os.environ["DJANGO_SETTINGS_MODULE"] = "bfxdash.settings"
    if PROFILE == "embedded":  # a file: threads cannot share an SQLite database in memory
        settings.DATABASES["default"]["TEST"] = {"NAME": str(folder / "db" / "tests.sqlite3")}
    # Plain names of static files: hashed ones need collectstatic, which real servers do.
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }
    # A real hash takes longer than most tests. Real servers, and tests of passwords, use theirs.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    django.setup()
    from tests import emptying  # imports models

    emptying.empty_by_rows()
    del os.environ["DJANGO_SETTINGS_MODULE"]  # or a worker would read settings before this file


try:
    prepare_environment()
except BaseException:
    STARTED.close()
    raise


def pytest_unconfigure() -> None:
    STARTED.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the big sizes")


def pytest_report_header() -> str:
    return f"profile: {PROFILE} (BFX_TEST_PROFILE)"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    place = collection_path.relative_to(Path(__file__).parent).as_posix()
    return (PROFILE != "embedded" and place.startswith(ONCE)) or None


def runs_once(item: pytest.Item) -> bool:
    return item.get_closest_marker("once") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if PROFILE != "embedded":
        config.hook.pytest_deselected(items=[item for item in items if runs_once(item)])
        items[:] = [item for item in items if not runs_once(item)]
    # Playwright leaves a running event loop in the main thread, which any later async test and
    # any later query would refuse: so browser tests come last.
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    if not config.getoption("--full"):
        big = pytest.mark.skip(reason="a big size: only with --full")
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(big)


@pytest.fixture(autouse=True)
def no_reads_in_the_background() -> Iterator[None]:
    """Forms read the exchange's configuration when it is old; in tests only those that want it."""
    from market.instrument_book import turn  # imports models

    turn.cache_clear()
    turn().take(float("inf"))
    yield
    turn.cache_clear()


@pytest.fixture(scope="session")
def profile() -> str:
    """`embedded` or `scaled`."""
    return PROFILE


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings, read in place."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BFX_RECORDINGS", default))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}: set BFX_RECORDINGS to their folder")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """A real PostgreSQL, whatever the profile."""
    server = servers.Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> MigratedDatabases:
    """Databases of their own for processes that share one."""
    folder = tmp_path_factory.mktemp("migrated")
    return MigratedDatabases(folder, lambda: request.getfixturevalue("postgres"))


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A real Redis of the test's own, whatever the profile."""
    server = servers.Redis()
    yield server.url
    server.stop()


@pytest.fixture
def start_exchange(tmp_path: Path) -> Iterator[Callable[..., servers.Exchange]]:
    """`start_exchange("--replay", FILE, BFX_RATES="…")`: a sandbox exchange with these options."""
    with ExitStack() as started:

        def start(*options: str, **environ: str) -> servers.Exchange:
            folder = Path(tempfile.mkdtemp(prefix="exchange-", dir=tmp_path))
            exchange = servers.Exchange(folder, *options, **environ)
            started.callback(exchange.stop)
            return exchange

        yield start


@pytest.fixture
def exchange_server(start_exchange: Callable[..., servers.Exchange]) -> servers.Exchange:
    """A sandbox exchange of the test's own, with its control port."""
    return start_exchange()


@pytest.fixture(scope="session")
def start_dashboard_for(
    request: pytest.FixtureRequest,
) -> Callable[..., servers.Dashboard]:
    """How a dashboard of the run's profile is started; `start_dashboard` stops it as well."""

    def start(
        started: ExitStack,
        folder: Path,
        exchange: servers.Exchange | None,
        profile: str = PROFILE,
        options: tuple[str, ...] = (),
        forked: bool = True,
        **environ: str,
    ) -> servers.Dashboard:
        dashboard = servers.Dashboard(folder, exchange, **environ)
        dashboard.forked = forked
        started.callback(dashboard.stop)
        if profile == "embedded":
            dashboard.start_embedded(*options)
        else:
            redis = servers.Redis()
            started.callback(redis.stop)
            postgres: servers.Postgres = request.getfixturevalue("postgres")
            database = postgres.make_database(f"dashboard_{os.getpid()}_{folder.name}")
            dashboard.start_scaled(database, redis.url)
        return dashboard

    return start


@pytest.fixture
def start_dashboard(
    start_dashboard_for: Callable[..., servers.Dashboard], tmp_path: Path
) -> Iterator[Callable[..., servers.Dashboard]]:
    """`start_dashboard(exchange, profile="scaled", BFX_FLUSH_MS="50")`: real servers.

    Without an exchange (None) and embedded, `up` starts its own sandbox.
    """
    with ExitStack() as started:

        def start(exchange: servers.Exchange | None, **how: object) -> servers.Dashboard:
            folder = Path(tempfile.mkdtemp(prefix="dashboard-", dir=tmp_path))
            return start_dashboard_for(started, folder, exchange, **how)

        yield start


@pytest.fixture(scope="session")
def dashboard(
    start_dashboard_for: Callable[..., servers.Dashboard], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Dashboard]:
    """The product itself, filled by a sandbox exchange; one for the whole session."""
    folder = tmp_path_factory.mktemp("dashboard")
    with ExitStack() as started:
        exchange = servers.Exchange(folder)
        started.callback(exchange.stop)
        dashboard = start_dashboard_for(started, folder, exchange)
        dashboard.wait_ready()
        yield dashboard
