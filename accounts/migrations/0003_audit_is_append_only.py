"""The database itself refuses to change, remove or smuggle in an audit event."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SQLITE = {
    "audit_no_update": "BEFORE UPDATE ON accounts_auditevent",
    "audit_no_delete": "BEFORE DELETE ON accounts_auditevent",
    # REPLACE removes the old row without asking the delete trigger unless the connection has
    # recursive_triggers (settings): a row may only ever come next.
    "audit_next_seq": """BEFORE INSERT ON accounts_auditevent
        WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM accounts_auditevent)""",
}
POSTGRESQL = """
CREATE FUNCTION accounts_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_refuse();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_audit_refuse();
ALTER TABLE accounts_apikey SET (fillfactor = 50);
"""
POSTGRESQL_BACK = """
DROP TRIGGER audit_no_change ON accounts_auditevent;
DROP TRIGGER audit_no_truncate ON accounts_auditevent;
DROP FUNCTION accounts_audit_refuse();
"""


def forwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(POSTGRESQL)
        return
    for name, event in SQLITE.items():
        editor.execute(
            f"CREATE TRIGGER {name} {event} "
            "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
        )


def backwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(POSTGRESQL_BACK)
        return
    for name in SQLITE:
        editor.execute(f"DROP TRIGGER {name}")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_keys_and_audit")]

    operations = [migrations.RunPython(forwards, backwards)]
