"""Puts a copy of the database back."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from django.utils import timezone

from accounts import restore_guard
from accounts.errors import AccountsError
from bfxdash import copies


class Command(BaseCommand):
    help = (
        "Replace the database by a copy, after a copy of the present one. Refused while anything "
        "runs. Afterwards every key waits until its owner confirms it, and revoked keys stay so. "
        "Prints one line of JSON."
    )
    requires_system_checks = ["settings"]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="a file that `manage.py backup` made")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, source: str, **options: Any) -> None:
        try:
            kept = self.replace(Path(source).expanduser(), sure=options["yes"])
        except (copies.CopyRefused, OSError) as error:
            raise CommandError(str(error)) from None
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        figures: dict[str, object] = {"restored": source, "former": str(kept) if kept else None}
        self.stdout.write(json.dumps({**figures, **self.make_safe()}))

    def replace(self, source: Path, *, sure: bool) -> Path | None:
        """Returns the copy of what was there; none when there was nothing yet."""
        copies.require_whole(source)
        kept = None
        if copies.has_tables():
            running = copies.in_use()
            if running:
                names = ", ".join(running)
                raise CommandError(f"stop these first (a killed one counts for a minute): {names}")
            if not sure and input("Type RESTORE to replace the database: ") != "RESTORE":
                raise CommandError("nothing was done")
            kept = copies.choose(None, timezone.now(), prefix="before-restore")
            copies.write(kept)
        copies.put_back(source)
        return kept

    def make_safe(self) -> dict[str, object]:
        """At once, so that no script signs before the next start, which would do it otherwise."""
        try:
            done = restore_guard.guard()
        except (AccountsError, Error, OSError) as error:
            return {"guard": f"at the next start ({error})"}
        if done is None:
            return {"guard": "nothing was lost"}
        return {"guard": "done", "wiped": done.wiped, "waiting": done.waiting}
