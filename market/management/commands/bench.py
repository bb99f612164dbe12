"""Benchmarks beside peers, on loopback."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise ValueError(text)
        return value

    read.__name__ = f"{kind.__name__} above 0"  # what argparse calls it
    return read


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
        orders = benches.add_parser("orders", help="signed calls from many processes: O1 to O5")
        orders.add_argument("--processes", type=positive(int), default=4)
        orders.add_argument("--keys", type=positive(int), default=1, help="that they share")
        orders.add_argument("--orders", type=positive(int), default=60, help="placed and cancelled")
        orders.add_argument(
            "--latency", type=positive(float), default=10.0, help="ms at most, each way"
        )
        for each in (fanout, orders):
            each.add_argument("--json", action="store_true", help="figures as JSON on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from tests.bench import fanout, orders
            from tests.bench.workshop import Workshop
        except ModuleNotFoundError as missing:
            raise CommandError(f"the benchmark lies in tests/bench: {missing}") from missing
        workshop = Workshop(settings.BFX_DATA_DIR / "cache" / "bench")
        try:
            if options["bench"] == "orders":
                names = ("processes", "keys", "orders", "latency")
                sizes = orders.Options(**{name: options[name] for name in names})
                verdicts, report = orders.run_all(sizes, workshop, self._say)
                text = orders.table(verdicts, report)
            else:
                wanted = fanout.Options(
                    full=options["full"],
                    only=tuple((options["only"] or "").upper().replace(",", " ").split()),
                    **{name: options[name] for name in ("clients", "symbols", "rate", "seconds")},
                )
                verdicts, report = fanout.run_all(wanted, workshop, self._say)
                text = fanout.table(verdicts, report)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(report) if options["json"] else text)
        if not all(verdict.passed for verdict in verdicts):
            sys.exit(1)

    def _say(self, line: str) -> None:
        """Progress goes to stderr: stdout is for the figures."""
        self.stderr.write(line)
        self.stderr.flush()
