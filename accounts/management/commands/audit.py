"""The audit trail, from the host: is it whole, and a copy of it."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import IO, Any, cast

import structlog
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import audit
from accounts.models import AuditEvent

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Verify the audit trail's chain, or export it. Both print the chain's end: keep it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("verify", help="walk the chain; exit status 1 when it is broken")
        export = steps.add_parser("export", help="write all events")
        export.add_argument("--format", choices=["jsonl", "csv"], default="jsonl")
        export.add_argument("--out", help="file to write; default: standard output")

    def handle(self, *args: Any, step: str, **options: Any) -> None:
        verdict = audit.verify()
        log.info("audit chain", events=verdict.events, head=verdict.head, broken=verdict.broken)
        if step == "export":
            self.export(options["format"], options["out"])
        else:
            self.stdout.write(json.dumps(asdict(verdict)))
        if verdict.broken is not None:
            raise CommandError(f"event {verdict.broken}: {verdict.why}")

    def export(self, form: Any, path: str | None) -> None:
        """The export itself leaves an event, which is the last one in the copy."""
        with transaction.atomic():
            audit.record(audit.Tag.EXPORTED, actor=None, data={"format": form})
        events = AuditEvent.objects.order_by("seq").iterator(audit.CHUNK)
        if path is None:
            audit.export(events, cast(IO[str], self.stdout), form)
            return
        with open(path, "x", encoding="utf-8", newline="") as out:
            count = audit.export(events, out, form)
        sys.stderr.write(f"{count} events in {path}\n")
