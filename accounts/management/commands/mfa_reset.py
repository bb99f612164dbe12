"""For who has lost his second factor. On the host only: staff cannot do this in the browser."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import people
from accounts.models import User


class Command(BaseCommand):
    help = "Remove a person's second factors, end his sessions, and arm none of his keys for a day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--reason", required=True, help="kept in the audit trail")

    def handle(self, *args: Any, username: str, reason: str, **options: Any) -> None:
        user = User.objects.filter(username=username.lower()).first()
        if user is None:
            raise CommandError(f"there is no account '{username}'")
        count = people.reset_factors(user=user, by=None, reason=reason)
        self.stdout.write(f"{count} factors of {user} are gone; no key is armed for 24 hours")
