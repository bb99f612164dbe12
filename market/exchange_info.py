"""What the exchange said for every process, kept by name. Sandbox and live never mix: an answer of
one is not there for the other."""

from datetime import timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from market.conf import exchange
from market.models import ExchangeInfo


class Kept(NamedTuple):
    """`age` is below nothing when the clock was set back meanwhile."""

    value: Any
    age: timedelta

    def is_younger_than(self, life: timedelta) -> bool:
        return timedelta(0) <= self.age < life


def keep(name: str, value: Any) -> None:
    """Replaces what was kept by this name."""
    row = {"value": value, "read_at": timezone.now()}
    ExchangeInfo.objects.update_or_create(name=_named(name), defaults=row)


def recall(name: str) -> Kept | None:
    row = ExchangeInfo.objects.filter(name=_named(name)).first()
    return None if row is None else Kept(row.value, timezone.now() - row.read_at)


def _named(name: str) -> str:
    return f"{exchange().mode} {name}"
