"""How a key's row changes: locked, by an update, told after the commit."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.dispatch import Signal

from accounts import signals
from accounts.models import ApiKey


@contextmanager
def locked(key: ApiKey) -> Iterator[ApiKey]:
    """The row as it is now, its seal included; in a transaction that ends with the block."""
    with transaction.atomic():
        # no_key: a new order refers to the row while it waits for the end of the audit trail.
        yield ApiKey.objects.with_seal().select_for_update(no_key=True).get(pk=key.pk)


def change(row: ApiKey, /, **values: object) -> None:
    """Writes these columns, and tells so once they are committed."""
    ApiKey.objects.filter(pk=row.pk).update(**values)
    tell(signals.key_changed, row)


def tell(signal: Signal, row: ApiKey) -> None:
    """After the commit."""
    key, owner = row.uuid, row.owner_id
    transaction.on_commit(lambda: signal.send(sender=ApiKey, key=key, owner=owner))
