"""A copy of the database, while everything runs."""

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import restore_guard
from bfxdash import copies


class Command(BaseCommand):
    help = (
        "Copy the database into a new file; default: the data folder's backups. The keys are not "
        "in it: copy their folder too, to another place. Prints one line of JSON."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", nargs="?", help="a new file, or a folder")

    def handle(self, *args: Any, target: str | None, **options: Any) -> None:
        try:
            path = copies.choose(target, timezone.now())
            copies.write(path)
        except (copies.CopyRefused, OSError) as error:
            raise CommandError(str(error)) from None
        restore_guard.note_backup(str(path))
        figures = {"backup": str(path), "bytes": path.stat().st_size}
        keys = str(settings.BFX_MASTER_KEY_FILE)
        self.stdout.write(json.dumps({**figures, "not_in_it": keys}))
