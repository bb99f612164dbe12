"""How a test database is emptied between tests: by the rows that a test left, in a few ms.

Django's own way empties every table and then makes content types and permissions anew, which is
most of the time of a small test. Here these two stay, and the append-only audit trail is emptied
as well: its triggers step aside for that, and only there.
"""

from typing import Any

KEPT = {"auth_permission", "django_content_type", "django_migrations"}
EVENTS = "accounts_auditevent"
TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"


def empty_by_rows() -> None:
    """Changes how a test with transactions of its own ends. Call it once Django is set up."""
    from django.db import connections
    from django.test import TransactionTestCase

    def empty_each(case: Any) -> None:
        for name in case._databases_names(include_mirrors=False):
            empty(connections[name])

    setattr(TransactionTestCase, "_fixture_teardown", empty_each)  # noqa: B010  not in its types


def empty(connection: Any) -> None:
    """Deletes the rows of every table but the kept ones."""
    from django.db import transaction

    tables = set(connection.introspection.table_names()) - KEPT
    delete = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in sorted(tables)]
    with (
        connection.constraint_checks_disabled(),
        connection.cursor() as cursor,
        transaction.atomic(using=connection.alias),
    ):
        for statement in statements(connection.vendor, cursor, delete):
            cursor.execute(statement)


def statements(vendor: str, cursor: Any, delete: list[str]) -> list[str]:
    if vendor == "postgresql":  # as a replica: no trigger, no foreign key
        return ["SET LOCAL session_replication_role = replica", *delete]
    cursor.execute(TRIGGERS, [EVENTS])
    triggers = cursor.fetchall()
    drop = [f"DROP TRIGGER {name}" for name, _ in triggers]
    return [*drop, *delete, *(sql for _, sql in triggers)]
