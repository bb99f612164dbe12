"""The master key's rotation, step by step (see `accounts.rotation`)."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import rotation
from accounts.errors import MasterKeyError, RotationRefused


class Command(BaseCommand):
    help = (
        "Replace the master key without downtime: new, activate VERSION, rewrap, verify, and after "
        "the last backup that needs it, retire VERSION. Each step prints one line of JSON, may be "
        "repeated, and goes on where a killed one stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("new", help="add the next version to the file")
        activate = steps.add_parser("activate", help="use a version for new secrets")
        activate.add_argument("version", type=int)
        rewrap = steps.add_parser("rewrap", help="move the rows to the active version")
        rewrap.add_argument("--batch", type=int, default=200, help="rows between two pauses")
        rewrap.add_argument("--sleep-ms", type=int, default=20, help="length of a pause")
        rewrap.add_argument("--limit", type=int, help="at most so many rows")
        rewrap.add_argument(
            "--reseal", action="store_true", help="new data keys too: the old key may be known"
        )
        steps.add_parser("verify", help="open every row")
        retire = steps.add_parser("retire", help="take a version out of the file, for ever")
        retire.add_argument("version", type=int)
        retire.add_argument(
            "--keep-days", type=int, default=rotation.KEPT_DAYS, help="how long backups are kept"
        )
        steps.add_parser("status", help="versions, and how many keys each one wraps")

    def handle(self, *args: Any, step: str, **options: Any) -> None:
        try:
            figures = getattr(self, f"do_{step}")(options)
        except (RotationRefused, MasterKeyError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(json.dumps({"step": step, **figures}))
        if figures.get("broken"):
            raise CommandError("the seals of some keys are broken")

    def do_new(self, options: dict[str, Any]) -> dict[str, object]:
        return {"version": rotation.new()}

    def do_activate(self, options: dict[str, Any]) -> dict[str, object]:
        rotation.activate(options["version"])
        return {"version": options["version"]}

    def do_rewrap(self, options: dict[str, Any]) -> dict[str, object]:
        wanted = {name: options[name] for name in ("batch", "sleep_ms", "limit", "reseal")}
        return asdict(rotation.rewrap(**wanted))

    def do_verify(self, options: dict[str, Any]) -> dict[str, object]:
        opened, broken = rotation.verify()
        return {"opened": opened, "broken": broken}

    def do_retire(self, options: dict[str, Any]) -> dict[str, object]:
        rotation.retire(options["version"], keep_days=options["keep_days"])
        return {"version": options["version"]}

    def do_status(self, options: dict[str, Any]) -> dict[str, object]:
        return rotation.status()
