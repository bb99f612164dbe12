"""Is everything well? One line for each part, in plain words."""

import asyncio
import json
import shutil
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from accounts import key_versions, master_key, revoked_log, rotation
from accounts.errors import MasterKeyError
from accounts.models import ApiKey, Epoch
from bfxdash import health
from market import clock
from market.bitfinex.errors import ExchangeError
from market.bitfinex.rest import platform_status
from market.client import client
from market.conf import exchange
from market.models import FeedLease

State = Literal["ok", "warning", "broken"]
ANSWER_SECONDS = 5.0
CLOCKS_APART_SECONDS = 2.0
NONCE_AHEAD_SECONDS = 3600.0
BUILT = 1_767_225_600  # 2026-01-01: no clock is right that says it is earlier
LEAST_FREE = 200 * 1024 * 1024


@dataclass(frozen=True)
class Finding:
    part: str
    state: State
    detail: str


Look = Callable[[], tuple[State, str]]


class Command(BaseCommand):
    help = "Look at settings, database, channel layer, exchange, feed, keys, clock and disk."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = [examine(part, look) for part, look in LOOKS.items()]
        ok = all(finding.state != "broken" for finding in findings)
        if options["json"]:
            parts = [asdict(finding) for finding in findings]
            self.stdout.write(json.dumps({"ok": ok, "parts": parts}))
        else:
            for each in findings:
                self.stdout.write(f"{each.state:8} {each.part:14} {each.detail}")
        sys.exit(0 if ok else 1)


def examine(part: str, look: Look) -> Finding:
    try:
        return Finding(part, *look())
    except (Error, OSError, MasterKeyError) as error:
        said = str(error).strip().splitlines() or [""]
        return Finding(part, "broken", f"{type(error).__name__}: {said[0]}")


def look_at_settings() -> tuple[State, str]:
    found = checks.run_checks()
    serious = [message.msg for message in found if message.is_serious()]
    if serious:
        return "broken", "; ".join(serious)
    said = "; ".join(message.msg for message in found)
    return ("warning", said) if said else ("ok", f"{settings.BFX_EXCHANGE} exchange")


def look_at_database() -> tuple[State, str]:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return "broken", f"{len(missing)} migrations are missing: `manage.py migrate`"
    return "ok", connection.vendor


def look_at_channel_layer() -> tuple[State, str]:
    name = "Redis" if settings.REDIS_URL else "in this process alone"
    why = asyncio.run(health.failure(name, health.ask_channel_layer))
    return ("broken", why) if why else ("ok", name)


def look_at_exchange() -> tuple[State, str]:
    place = exchange().public_rest
    try:
        works = client().call(platform_status(), lane="look_up", deadline=ANSWER_SECONDS)
    except ExchangeError as error:
        return "broken", f"{place}: {type(error).__name__}: {error}"
    return ("ok", place) if works else ("warning", f"{place} is in maintenance")


def look_at_feed() -> tuple[State, str]:
    now = clock.now_us()
    held = FeedLease.objects.filter(expires_us__gt=now).values_list("range", flat=True)
    lacking = sorted(set(range(settings.BFX_FEED_RANGES)) - set(held))
    web = rotation.running()
    if not web and len(lacking) == settings.BFX_FEED_RANGES:
        return "warning", "nothing runs"
    if lacking:
        return "broken", f"no feed serves range {', '.join(map(str, lacking))}"
    return "ok", f"every range is served, for {len(web)} web processes"


def look_at_master_key() -> tuple[State, str]:
    if master_key.is_missing() and not key_versions.needed_versions():
        return "ok", "none yet: the first key makes it"
    problems = key_versions.problems()
    if problems:
        return "broken", "; ".join(problems)
    return "ok", f"versions {sorted(master_key.ring().versions)}"


def look_at_epoch() -> tuple[State, str]:
    row = Epoch.objects.filter(pk=1).first() or Epoch()
    if row.number < revoked_log.epoch():
        return "warning", "the database came from a backup: the next start makes it safe"
    return "ok", f"epoch {row.number}"


def look_at_clock() -> tuple[State, str]:
    now = time.time()
    apart = abs(clock.now_us() / 1_000_000 - now)
    if now < BUILT:
        return "broken", f"this machine says it is {time.strftime('%Y-%m-%d', time.gmtime(now))}"
    if apart > CLOCKS_APART_SECONDS:
        return "broken", f"this machine and the database are {apart:.0f} s apart"
    ahead = ApiKey.objects.here().filter(
        revoked_at=None, bump=0, last_nonce__gt=round((now + NONCE_AHEAD_SECONDS) * 1_000_000)
    )
    if ahead:
        return "warning", f"the nonces of {len(ahead)} keys are over an hour ahead of the clock"
    return "ok", f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} UTC"


def look_at_disk() -> tuple[State, str]:
    free = shutil.disk_usage(settings.BFX_DATA_DIR).free
    state: State = "broken" if free < LEAST_FREE else "ok"
    return state, f"{free // 1024**2} MiB free in {settings.BFX_DATA_DIR}"


LOOKS: dict[str, Look] = {
    "settings": look_at_settings,
    "database": look_at_database,
    "channel layer": look_at_channel_layer,
    "exchange": look_at_exchange,
    "feed": look_at_feed,
    "master key": look_at_master_key,
    "restore guard": look_at_epoch,
    "clock": look_at_clock,
    "disk": look_at_disk,
}
