"""Stops from the host, with the web server down too."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.keys import halt_keys, revoke_all, revoke_key
from accounts.models import ApiKey, Halt, HaltLevel, User

LEVELS = {"none": HaltLevel.NONE, "orders": HaltLevel.ORDERS, "signing": HaltLevel.SIGNING}


class Command(BaseCommand):
    help = (
        "Stop orders, or all signing, on every process with one commit; 'none' releases. 'wipe' "
        "revokes every key for ever. Without --user or --key it is the whole site."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=[*LEVELS, "wipe", "status"])
        parser.add_argument("--user", help="only the keys of this user")
        parser.add_argument("--key", help="only this key (its uuid)")
        parser.add_argument("--reason", default="", help="goes into the audit trail")
        parser.add_argument("--yes", action="store_true", help="do not ask before a wipe")

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        owner, key = self.find_user(options["user"]), self.find_key(options["key"])
        if what == "status":
            figures = self.status()
        elif not options["reason"]:
            raise CommandError("--reason: say why; it goes into the audit trail")
        elif what == "wipe":
            figures = self.wipe(owner, key, options)
        else:
            level, reason = LEVELS[what], options["reason"]
            covered = halt_keys(by=None, level=level, reason=reason, owner=owner, key=key)
            figures = {"halt": what, "keys": covered}
        self.stdout.write(json.dumps(figures))

    def wipe(
        self, owner: User | None, key: ApiKey | None, options: dict[str, Any]
    ) -> dict[str, object]:
        if not options["yes"] and input("Type WIPE to revoke these keys for ever: ") != "WIPE":
            raise CommandError("nothing was done")
        reason = options["reason"]
        halt_keys(by=None, level=HaltLevel.SIGNING, reason=reason, owner=owner, key=key)
        if key:
            revoke_key(key=key, by=None, reason=reason)
            return {"revoked": 1}
        return {"revoked": len(revoke_all(by=None, owner=owner, reason=reason))}

    def status(self) -> dict[str, object]:
        halts = Halt.objects.exclude(level=HaltLevel.NONE).order_by("scope")
        return {"halts": {halt.scope: HaltLevel(halt.level).label for halt in halts}}

    def find_user(self, name: str | None) -> User | None:
        found = User.objects.filter(username=name).first() if name else None
        if name and not found:
            raise CommandError(f"--user: there is no '{name}'")
        return found

    def find_key(self, uuid: str | None) -> ApiKey | None:
        try:
            found = ApiKey.objects.filter(pk=uuid).first() if uuid else None
        except ValidationError:
            found = None
        if uuid and not found:
            raise CommandError(f"--key: there is no '{uuid}'")
        return found
