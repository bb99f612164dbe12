"""Django's own command, and what follows a reset here: no sessions, no arming for a day."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.db import transaction

from accounts import audit, people
from accounts.models import User


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str:
        said = super().handle(*args, **options)
        user = User.objects.get(username=options["username"] or getpass.getuser())
        with transaction.atomic():
            audit.record(audit.Tag.PASSWORD_RESET, actor=None, about=user)
            people.pause_arming(user=user, reason="the password was reset")
            people.end_sessions(user=user)
        return said or ""
