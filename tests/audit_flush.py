"""Lets a test database be emptied between tests although its audit trail is append-only."""

from typing import Any

EVENTS = "accounts_auditevent"


def allow_flush() -> None:
    """Changes how Django empties a database: the triggers step aside for that, and only there.

    Call it once Django is set up.
    """
    from django.db.backends.base.operations import BaseDatabaseOperations

    original = BaseDatabaseOperations.execute_sql_flush

    def flush(self: Any, sql_list: list[str]) -> None:
        if self.connection.vendor == "postgresql":
            original(self, ["SET LOCAL session_replication_role = replica", *sql_list])
            return
        with self.connection.cursor() as cursor:
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
            cursor.execute(query, [EVENTS])
            triggers = cursor.fetchall()
        drop = [f"DROP TRIGGER {name}" for name, _ in triggers]
        original(self, [*drop, *sql_list, *(sql for _, sql in triggers)])

    setattr(BaseDatabaseOperations, "execute_sql_flush", flush)  # noqa: B010  typed as a method
