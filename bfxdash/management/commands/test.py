"""Every check of the project, or only pytest when it gets arguments of pytest."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from bfxdash.gate import run_gate, run_pytest


class Command(BaseCommand):
    help = "Run every check: format, lint, types, shape, and the tests on both profiles."
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        if {"-h", "--help"} & set(argv):
            self.print_help(argv[0], argv[1])
            return
        words = argv[2:]
        sys.exit(run_pytest(words) if set(words) - {"--full"} else run_gate(full=bool(words)))

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.usage = f"{prog_name} test [--full] [pytest arguments]"
        parser.add_argument("--full", action="store_true", help="also run the big sizes")
        parser.epilog = "With arguments of pytest (a path, -k, …) only pytest runs."
        return parser
