"""A fake of the exchange's port, and texts that look like keys."""

import secrets
from dataclasses import dataclass, field

from django.db import connection

from accounts.exchange import Burnt, Cancelled, KeyExchange
from accounts.models import ApiKey
from accounts.permissions import Permissions

TRADES = [("account", 1, 0), ("orders", 1, 1), ("wallets", 1, 0), ("withdraw", 0, 0)]
CURRENT: list["FakeExchange"] = []


@dataclass
class FakeExchange(KeyExchange):
    """Answers what the test says: rows of permissions, or an error to raise."""

    rows: list[tuple[str, int, int]] = field(default_factory=lambda: list(TRADES))
    problem: Exception | None = None
    cancelled: Cancelled = field(default_factory=lambda: Cancelled(2))
    asked: list[str] = field(default_factory=list)
    in_transaction: list[bool] = field(default_factory=list)

    def permissions(self, key: ApiKey) -> Permissions:
        self._note("permissions", key)
        return Permissions.from_rows(self.rows)

    def cancel_all(self, key: ApiKey) -> Cancelled:
        self._note("cancel_all", key)
        return self.cancelled

    def burn(self, key: ApiKey) -> Burnt:
        self._note("burn", key)
        return Burnt()

    def _note(self, what: str, key: ApiKey) -> None:
        now = ApiKey.objects.get(pk=key.pk)
        self.asked.append(f"{what} {now.state} halt {now.halt}")
        self.in_transaction.append(len(connection.atomic_blocks) > 1)  # 1: the test's own
        if self.problem:
            raise self.problem


def current() -> FakeExchange:
    return CURRENT[-1]


def new_text() -> str:
    return secrets.token_urlsafe(32)
