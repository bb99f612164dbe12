"""System checks: combinations of settings that must not start, each named by its variable.

They run before `up`, `serve`, `feed`, `migrate` and every other command that checks. A refusal is a
function of the settings that yields reasons; the table below says which variable is to blame.
"""

import ipaddress
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured

from market.limits import read_rates

SHORTEST_KEY = 50
FEWEST_CHARACTERS = 10
EGRESS = re.compile(r"[A-Za-z0-9._-]{1,40}")  # part of the keys of its budgets
FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


Finding = Callable[[Any], Iterator[str]]


@dataclass(frozen=True)
class Refusal:
    """`find` yields why these settings are refused, in words that follow the variable's name."""

    id: str
    variable: str
    find: Finding

    def messages(self, settings: Any) -> list[Error]:
        return [Error(f"{self.variable} {reason}", id=self.id) for reason in self.find(settings)]


def secret_key(settings: Any) -> Iterator[str]:
    try:
        key = settings.SECRET_KEY
    except ImproperlyConfigured:  # Django's word for an empty one
        key = ""
    if not key:
        yield "is missing: `manage.py up` makes one, any other start needs yours"
    elif len(key) < SHORTEST_KEY or len(set(key)) < FEWEST_CHARACTERS or "insecure" in key:
        yield f"is weak: take at least {SHORTEST_KEY} random characters"


def allowed_hosts(settings: Any) -> Iterator[str]:
    if not settings.ALLOWED_HOSTS:
        yield "is empty: name the hosts of this site"
    if "*" in settings.ALLOWED_HOSTS:
        yield "contains '*': name the hosts of this site, or anybody can pretend to be one"


def debug(settings: Any) -> Iterator[str]:
    if settings.DEBUG and settings.BFX_EXCHANGE == "live":
        yield "is on with the real exchange: error pages would show settings to strangers"
    elif settings.DEBUG and not all(
        is_loopback(urlsplit(o).hostname) for o in settings.BFX_ORIGINS
    ):
        yield "is on for a site that others reach: error pages would show them settings"


def exchange_url(name: str, schemes: tuple[str, str], settings: Any) -> Iterator[str]:
    plain, secure = schemes
    url = urlsplit(getattr(settings, name))
    if url.scheme not in schemes or not url.hostname:
        yield f"is not an address that begins with {secure}://"
        return
    if url.scheme == plain and not is_loopback(url.hostname):
        yield f"is {plain}://{url.hostname}: outside this machine only {secure}:// is allowed"
    if url.username or url.password:
        yield "carries a name or password"
    if secure == "https" and url.path.strip("/"):
        yield f"has the path '{url.path}': give the bare address, we add /v2"
    if settings.BFX_EXCHANGE == "sandbox" and is_bitfinex(url.hostname):
        yield "is the real exchange although BFX_EXCHANGE is sandbox"


def origins(settings: Any) -> Iterator[str]:
    if not settings.BFX_ORIGINS:
        yield "is empty: no browser could open a live connection"
    parts = [urlsplit(origin) for origin in settings.BFX_ORIGINS]
    for part in parts:
        if part.scheme == "http" and not is_loopback(part.hostname):
            yield f"has http://{part.netloc}: outside this machine only https:// is allowed"
    if len({part.scheme for part in parts}) > 1:
        yield "mixes http and https: cookies cannot be safe for both"


def trusted_proxies(settings: Any) -> Iterator[str]:
    if settings.SECURE_ORIGIN and not settings.BFX_TRUSTED_PROXIES:
        yield "is 0 although BFX_ORIGINS is https: say how many proxies stand before us"


def redis(settings: Any) -> Iterator[str]:
    scaled = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    if scaled and not settings.REDIS_URL:
        yield "is missing although DATABASE_URL is PostgreSQL: processes could not hear each other"


def data_dir(settings: Any) -> Iterator[str]:
    folder: Path = settings.BFX_DATA_DIR
    keys = folder / "keys"
    for path in [folder, keys, *sorted(keys.glob("*"))]:
        if is_open_to_others(path):
            yield f"is readable by others: `chmod go= {path}`"


def database_file(settings: Any) -> Iterator[str]:
    database: dict[str, Any] = settings.DATABASES["default"]
    file = Path(str(database["NAME"]))
    if not database["ENGINE"].endswith("sqlite3") or settings.BFX_DATA_DIR in file.parents:
        return
    if is_open_to_others(file) and is_open_to_others(file.parent):
        yield f"is a file that others can read: `chmod go= {file}`"


def rates(settings: Any) -> Iterator[str]:
    try:
        read_rates(settings.BFX_RATES)
    except ValueError as error:
        yield f"cannot be used: {error}"
    if settings.BFX_RATES and is_bitfinex(urlsplit(settings.BFX_REST_URL).hostname or ""):
        yield "is set although the exchange is the real one, whose limits are not ours to choose"


def egress(settings: Any) -> Iterator[str]:
    if not EGRESS.fullmatch(settings.BFX_EGRESS):
        yield "is not a name of 1 to 40 letters, digits, dots or dashes"


REFUSALS = [
    Refusal("bfxdash.E001", "SECRET_KEY", secret_key),
    Refusal("bfxdash.E002", "ALLOWED_HOSTS", allowed_hosts),
    Refusal("bfxdash.E003", "DEBUG", debug),
    *(
        Refusal("bfxdash.E004", name, partial(exchange_url, name, schemes))
        for name, schemes in {
            "BFX_PUBLIC_REST_URL": ("http", "https"),
            "BFX_REST_URL": ("http", "https"),
            "BFX_PUBLIC_WS_URL": ("ws", "wss"),
            "BFX_WS_URL": ("ws", "wss"),
        }.items()
    ),
    Refusal("bfxdash.E005", "BFX_ORIGINS", origins),
    Refusal("bfxdash.E006", "BFX_TRUSTED_PROXIES", trusted_proxies),
    Refusal("bfxdash.E007", "REDIS_URL", redis),
    Refusal("bfxdash.E008", "BFX_DATA_DIR", data_dir),
    Refusal("bfxdash.E009", "DATABASE_URL", database_file),
    Refusal("bfxdash.E010", "BFX_RATES", rates),
    Refusal("bfxdash.E011", "BFX_EGRESS", egress),
]


@register("settings")
def refuse_unsafe_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    return [message for refusal in REFUSALS for message in refusal.messages(settings)]


@register("settings")
def warn_of_silence(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """PostgreSQL without Redis is refused above, for every command."""
    reasons = [] if any(redis(settings)) else silence(settings, sys.argv[1:2])
    return [Warning(f"REDIS_URL {reason}", id="bfxdash.W001") for reason in reasons]


def silence(settings: Any, command: Sequence[str]) -> Iterator[str]:
    if not settings.REDIS_URL and {"serve", "feed"} & set(command):
        yield "is missing: serve and feed could not hear each other; use `up`, or set it"


def is_loopback(host: str | None) -> bool:
    """Whether this name or address can only be this machine."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost" or bool(host and host.endswith(".localhost"))


def is_bitfinex(host: str) -> bool:
    return host == "bitfinex.com" or host.endswith(".bitfinex.com")


def is_open_to_others(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & FOR_OTHERS)
