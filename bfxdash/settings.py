"""Settings, and the only reader of the environment.

Every variable is listed and explained in `.env.example`. Secrets may also be given as a file by
`NAME_FILE`. Nothing exists only in production: the environment switches features, and
`bfxdash.checks` stops the start on unsafe combinations.
"""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import environ
import structlog
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
T = TypeVar("T")

env = environ.FileAwareEnv()
ENV_FILE = env.str("BFX_ENV_FILE", default=str(BASE_DIR / ".env"))
if "BFX_ENV_FILE" in env.ENVIRON and not Path(ENV_FILE).exists():
    raise ImproperlyConfigured(f"BFX_ENV_FILE: there is no file '{ENV_FILE}'")
env.read_env(ENV_FILE)


def read(name: str, cast: Callable[[str], T], default: T) -> T:
    """One variable, or a message that names it: a bad value must stop the start in plain words."""
    try:
        raw = env.str(name, default="").strip()
        if not raw and env.ENVIRON.get(name, "").startswith("$"):
            raise ValueError("a value that begins with $ names another variable, and it is not set")
        return cast(raw) if raw else default
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        raise ImproperlyConfigured(f"{name}_FILE: {reason}") from error


def boolean(raw: str) -> bool:
    words = {"on": True, "true": True, "yes": True, "1": True}
    words |= {"off": False, "false": False, "no": False, "0": False}
    if raw.lower() not in words:
        raise ValueError(f"'{raw}' is neither on nor off")
    return words[raw.lower()]


def log_level(raw: str) -> str:
    if raw.upper() not in logging.getLevelNamesMapping():
        raise ValueError(f"'{raw}' is not a level like INFO")
    return raw.upper()


def whole_number(low: int, high: int) -> Callable[[str], int]:
    def cast(raw: str) -> int:
        if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
            raise ValueError(f"'{raw}' is not a whole number from {low} to {high}")
        return int(raw)

    return cast


def names(raw: str) -> list[str]:
    return [part.strip() for part in raw.split(",") if part.strip()]


def split_address(raw: str) -> SplitResult:
    """Its parts. The message repeats nothing of an address, which may hold a password."""
    try:
        parts = urlsplit(raw)
        _ = parts.port  # the parts are not looked at before they are asked for
    except ValueError:
        raise ValueError("the host or port of this address cannot be read") from None
    return parts


def address(raw: str) -> str:
    split_address(raw)
    return raw


def redis_address(raw: str) -> str:
    if split_address(raw).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("not an address like redis://127.0.0.1:6379/0")
    return raw


def origins(raw: str) -> list[str]:
    for origin in names(raw):
        parts = split_address(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path:
            raise ValueError(f"'{origin}' is not an origin like https://dash.example.com")
    return names(raw)


def email(raw: str) -> dict[str, Any]:
    if "://" not in raw or split_address(raw).scheme not in environ.Env.EMAIL_SCHEMES:
        raise ValueError("not an address like smtp+tls://user:password@mail.example.com:587")
    return dict(environ.Env.email_url_config(raw))


def json_object(raw: str) -> dict[str, Any]:
    value = json.loads(raw)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


# --- The exchange ---------------------------------------------------------------------------------
EXCHANGES = {
    "sandbox": {
        "public_rest": "http://127.0.0.1:8900",
        "rest": "http://127.0.0.1:8900",
        "public_ws": "ws://127.0.0.1:8900/ws/2",
        "ws": "ws://127.0.0.1:8900/ws/2",
    },
    "live": {
        "public_rest": "https://api-pub.bitfinex.com",
        "rest": "https://api.bitfinex.com",
        "public_ws": "wss://api-pub.bitfinex.com/ws/2",
        "ws": "wss://api.bitfinex.com/ws/2",
    },
}


def exchange_mode(raw: str) -> str:
    if raw not in EXCHANGES:
        raise ValueError(f"'{raw}' is neither sandbox nor live")
    return raw


BFX_EXCHANGE = read("BFX_EXCHANGE", exchange_mode, "sandbox")
BFX_PUBLIC_REST_URL = read("BFX_PUBLIC_REST_URL", address, EXCHANGES[BFX_EXCHANGE]["public_rest"])
BFX_REST_URL = read("BFX_REST_URL", address, EXCHANGES[BFX_EXCHANGE]["rest"])
BFX_PUBLIC_WS_URL = read("BFX_PUBLIC_WS_URL", address, EXCHANGES[BFX_EXCHANGE]["public_ws"])
BFX_WS_URL = read("BFX_WS_URL", address, EXCHANGES[BFX_EXCHANGE]["ws"])
BFX_EGRESS = read("BFX_EGRESS", str, "default")
BFX_RATES: dict[str, Any] = read("BFX_RATES", json_object, {})

# --- Live data ------------------------------------------------------------------------------------
BFX_FLUSH_MS = read("BFX_FLUSH_MS", whole_number(0, 1000), 100)
BFX_DEFLATE = read("BFX_DEFLATE", boolean, False)
BFX_FEED_RANGES = read("BFX_FEED_RANGES", whole_number(1, 64), 1)
BFX_SOCKETS_PER_ADDRESS = read("BFX_SOCKETS_PER_ADDRESS", whole_number(1, 1_000_000), 50)
BFX_TRUSTED_PROXIES = read("BFX_TRUSTED_PROXIES", whole_number(0, 8), 0)
BFX_METRICS_TOKEN = read("BFX_METRICS_TOKEN", str, "")

# --- Where things are -----------------------------------------------------------------------------
BFX_DATA_DIR = read("BFX_DATA_DIR", lambda raw: Path(raw).expanduser().resolve(), BASE_DIR / "data")
DATABASE_DIR = BFX_DATA_DIR / "db"
STATIC_ROOT = BFX_DATA_DIR / "static"


def database_url(raw: str) -> str:
    if raw.partition(":")[0] not in {"sqlite", "postgres", "postgresql"}:
        raise ValueError("only sqlite:// and postgres:// are supported")
    try:
        environ.Env.db_url_config(raw)
    except ValueError:  # its words may repeat a part of the password
        raise ValueError("the host or port of this address cannot be read") from None
    return raw


def database() -> dict[str, Any]:
    default = f"sqlite:///{DATABASE_DIR / 'bfxdash.sqlite3'}"
    url = read("DATABASE_URL", database_url, default)
    config: dict[str, Any] = dict(environ.Env.db_url_config(url))
    if config.get("ENGINE") == "django.db.backends.sqlite3":
        # IMMEDIATE: a deferred transaction that reads and then writes fails at once with
        # "database is locked", whatever the timeout.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # recursive_triggers: else REPLACE would pass by the triggers that keep the audit trail.
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
            "PRAGMA recursive_triggers=ON;",
        }
    else:
        # A pool, since every request under ASGI runs in a thread of its own.
        options = config.setdefault("OPTIONS", {})
        options["pool"] = {"min_size": 1, "max_size": 20, "timeout": 10}
        # A process frozen between two statements would keep its locks, and everybody waiting.
        options.setdefault("options", "-c idle_in_transaction_session_timeout=5s")
        config["CONN_HEALTH_CHECKS"] = True
    return config


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = read("REDIS_URL", redis_address, "")
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}
}

# --- Keys of the exchange -------------------------------------------------------------------------
MASTER_KEY_MADE = BFX_DATA_DIR / "keys" / "master_key"  # where the first start makes one
MASTER_KEY_CREDENTIAL = Path(read("CREDENTIALS_DIRECTORY", str, "/nowhere"), "bfxdash_master_key")
BFX_MASTER_KEY_FILE: Path = read(
    "BFX_MASTER_KEY_FILE",
    lambda raw: Path(raw).expanduser().resolve(),
    MASTER_KEY_CREDENTIAL if MASTER_KEY_CREDENTIAL.is_file() else MASTER_KEY_MADE,
)
# The key itself in a variable: allowed, with a warning, when no file is named.
BFX_MASTER_KEY = read("BFX_MASTER_KEY", str, "") if BFX_MASTER_KEY_FILE == MASTER_KEY_MADE else ""
BFX_WITHDRAWALS = read("BFX_WITHDRAWALS", boolean, False)
BFX_SERVER_ADDRESSES: list[str] = read("BFX_SERVER_ADDRESSES", names, [])
KEY_EXCHANGE_BACKEND = "market.key_backend.BitfinexKeys"  # see accounts.exchange

# --- Web ------------------------------------------------------------------------------------------
DEBUG = read("DEBUG", boolean, False)
SECRET_KEY_MADE = BFX_DATA_DIR / "keys" / "secret_key"  # by `up`, at the first start
SECRET_KEY = read(
    "SECRET_KEY", str, SECRET_KEY_MADE.read_text().strip() if SECRET_KEY_MADE.is_file() else ""
)
SECRET_KEY_FALLBACKS: list[str] = read("SECRET_KEY_FALLBACKS", names, [])
ALLOWED_HOSTS = read("ALLOWED_HOSTS", names, ["localhost", "127.0.0.1", "[::1]"])
BFX_ORIGINS = read("BFX_ORIGINS", origins, ["http://localhost:8000", "http://127.0.0.1:8000"])
CSRF_TRUSTED_ORIGINS = BFX_ORIGINS
SOCKET_ORIGINS = [origin.replace("http", "ws", 1) for origin in BFX_ORIGINS]
SECURE_ORIGIN = all(origin.startswith("https://") for origin in BFX_ORIGINS)

INSTALLED_APPS = [
    "daphne",  # first: it installs the asyncio reactor
    "bfxdash",
    "market",
    "accounts",
    "channels",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django.contrib.admin.apps.SimpleAdminConfig",  # without its site: `accounts.admin` has ours
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.PrivatePages",
    "accounts.middleware.SessionAge",
    "accounts.middleware.DefaultDeny",
    "accounts.middleware.MfaRequired",
    "accounts.middleware.FreshFactor",
]
ROOT_URLCONF = "bfxdash.urls"
ASGI_APPLICATION = "bfxdash.asgi.application"
AUTH_USER_MODEL = "accounts.User"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,  # the admin's pages, allauth's messages and mails
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "market.views.context.exchange_mode",
            ]
        },
    }
]

SECURE_HSTS_SECONDS = 31_536_000 if SECURE_ORIGIN else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_ORIGIN
SECURE_HSTS_PRELOAD = False
# The preload list is for whole domains, and leaving it takes months: not ours to choose.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SECURE_SSL_REDIRECT = SECURE_ORIGIN
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BFX_TRUSTED_PROXIES else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
CSRF_COOKIE_SECURE = SECURE_ORIGIN
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF, *SOCKET_ORIGINS],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": [NONE],
    }
}
PASSKEYS = ["publickey-credentials-create", "publickey-credentials-get"]
UNUSED_FEATURES = ["accelerometer", "camera", "geolocation", "gyroscope", "microphone", "usb"]
PERMISSIONS_POLICY: dict[str, list[str]] = {
    **{feature: [] for feature in UNUSED_FEATURES},
    **{feature: ["self"] for feature in PASSKEYS},
}

# --- People ---------------------------------------------------------------------------------------
# Every page asks for a login but these; `accounts.middleware` refuses the rest.
PUBLIC_VIEWS = {
    "healthz",
    "readyz",
    "metrics",
    "market:tickers",
    "market:about",
    "market:symbols",
    "market:history",
    "market:curl",
    "account_login",
    "account_logout",  # an ended session may still post it
    "account_inactive",
    "account_signup",  # says that sign-up is closed
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "mfa_authenticate",  # the second step of a login
    "mfa_login_webauthn",
    "accounts:invitation",
}
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "accounts:keys"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["accounts.passwords.Argon2"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "accounts.passwords.NoProductWords"},
]
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = "__Host-bfx" if SECURE_ORIGIN else "bfx"
SESSION_COOKIE_SECURE = SECURE_ORIGIN
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 24 * 60 * 60
SESSION_IDLE_SECONDS = 60 * 60
STEP_UP_SECONDS = 300
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

EMAIL: dict[str, Any] = read("EMAIL_URL", email, {})
EMAIL_ON = bool(EMAIL)
EMAIL_TIMEOUT = 10
globals().update(EMAIL)

ACCOUNT_ADAPTER = "accounts.adapter.People"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PRESERVE_USERNAME_CASING = False
ACCOUNT_USERNAME_MIN_LENGTH = 3
ACCOUNT_SESSION_REMEMBER = True  # as long as SESSION_COOKIE_AGE says
ACCOUNT_LOGOUT_REDIRECT_URL = "market:tickers"
# Longer than STEP_UP_SECONDS, whose gate comes first: allauth's own one would keep a POST's fields.
ACCOUNT_REAUTHENTICATION_TIMEOUT = STEP_UP_SECONDS + 60
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/5m/ip,5/5m/key,20/h/key,50/d/key",
    "reset_password": "20/m/ip,5/d/key",
    "signup": "5/h/ip",
    "reauthenticate": "10/m/user",
    "manage_email": "5/h/user",  # each sends a mail to an address that somebody has typed
}
USERSESSIONS_ADAPTER = "accounts.adapter.Sessions"
MFA_ADAPTER = "accounts.adapter.SecondFactors"
MFA_FORMS = {"activate_totp": "accounts.forms.EnrolTotpForm"}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "bfxdash"
MFA_TOTP_TOLERANCE = 0
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_ALLOW_UNVERIFIED_EMAIL = True  # mail is optional here

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "bfxdash.static.HashedModules"},
}
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- Logs -----------------------------------------------------------------------------------------
LOG_JSON = read("LOG_JSON", boolean, not sys.stderr.isatty())
LOG_LEVEL = read("LOG_LEVEL", log_level, "INFO")
DEFAULT_EXCEPTION_REPORTER_FILTER = "bfxdash.reports.PlacesOnly"
LOG_STEPS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": LOG_STEPS,
            "processor": structlog.processors.JSONRenderer()
            if LOG_JSON
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.channels.server": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        # A traceback every second while Redis is away; who uses it says so once.
        "channels_redis.pubsub": {"level": "CRITICAL"},
        "websockets": {"level": "WARNING"},
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *LOG_STEPS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
