"""Prints the link that makes the first account. Once there is one it prints nothing."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import invitations


class Command(BaseCommand):
    help = "Print the one-time link that makes the first account; the former link stops working."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("origin", help="where browsers reach this site: http://localhost:8000")

    def handle(self, *args: Any, origin: str, **options: Any) -> None:
        link = invitations.setup_link(origin)
        if not link:
            raise CommandError("there is an account already: staff invite others in the panel")
        self.stdout.write(link)
