"""Benchmarks beside peers, on loopback."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Measure the product beside its peers; the exit status is 0 only when every goal passes."
    requires_system_checks = []  # it serves nothing of this installation

    def add_arguments(self, parser: ArgumentParser) -> None:
        benches = parser.add_subparsers(dest="bench", required=True)
        fanout = benches.add_parser("fanout", help="ticks to many browsers: goals P1 to P13")
        size = fanout.add_mutually_exclusive_group()
        size.add_argument("--quick", action="store_true", help="P1-P4, P8, P10, about two minutes")
        size.add_argument("--full", action="store_true", help="every goal, about ten minutes")
        size.add_argument("--only", help="goals by name, for instance P6 or P6,P7")
        fanout.add_argument("--clients", type=int, help="browsers, in every run")
        fanout.add_argument("--symbols", type=int, help="symbols that tick, in every run")
        fanout.add_argument("--rate", type=int, help="ticks a second, in every run")
        fanout.add_argument("--seconds", type=float, help="length of what is measured of every run")
        fanout.add_argument("--json", action="store_true", help="figures as JSON on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from tests.bench import fanout
            from tests.bench.workshop import Workshop
        except ModuleNotFoundError as missing:
            raise CommandError(f"the benchmark lies in tests/bench: {missing}") from missing
        wanted = fanout.Options(
            full=options["full"],
            only=tuple((options["only"] or "").upper().replace(",", " ").split()),
            **{name: options[name] for name in ("clients", "symbols", "rate", "seconds")},
        )
        workshop = Workshop(settings.BFX_DATA_DIR / "cache" / "bench")
        try:
            verdicts, report = fanout.run_all(wanted, workshop, self._say)
        except ValueError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(report))
        else:
            self.stdout.write(fanout.table(verdicts, report))
        if not all(verdict.passed for verdict in verdicts):
            sys.exit(1)

    def _say(self, line: str) -> None:
        """Progress goes to stderr: stdout is for the figures."""
        self.stderr.write(line)
        self.stderr.flush()
