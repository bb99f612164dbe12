"""The web server alone; the feed runs elsewhere."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand

from accounts import upkeep
from bfxdash.server import serve
from market.background import drain_at_the_end
from market.resolver import settle_for_ever


class Command(BaseCommand):
    help = "Serve the dashboard to browsers. System checks run first and stop a bad start."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8000, help="port, 0 for any free one")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        self.check(tags=[Tags.database], databases=["default"])  # does the master key fit?
        upkeep.begin()

        def announce(real_port: int) -> None:
            self.stdout.write(f"serving http://{host}:{real_port}")
            self.stdout.flush()

        tasks = [*upkeep.tasks(), settle_for_ever, drain_at_the_end]
        sys.exit(serve(host, port, tasks=tasks, on_listening=announce))
