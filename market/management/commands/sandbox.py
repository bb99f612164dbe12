"""`manage.py sandbox`: the bundled exchange on its own."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand

from market.sandbox.app import add_options, run


class Command(BaseCommand):
    help = "Run the bundled exchange: made-up markets, or a recording with --replay."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        status = run(Namespace(**options))
        if status:
            sys.exit(status)
