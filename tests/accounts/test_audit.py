"""G17: each act leaves one event in its own transaction, and nobody changes it unnoticed."""

import csv
import io
import json
import logging

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import Tag, record, verify
from accounts.models import AuditEvent, AuditHead, AuditPii, User

TABLE = "accounts_auditevent"


def add(count: int, **how) -> None:
    with transaction.atomic():
        for number in range(count):
            record(Tag.HALTED, actor=None, data={"number": number}, **how)


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def tamper(sql: str) -> None:
    """What somebody with all rights to the database can do."""
    if connection.vendor == "postgresql":
        run("SET session_replication_role = replica")
        run(sql)
        run("SET session_replication_role = origin")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
    for name, _ in triggers:
        run(f"DROP TRIGGER {name}")
    run(sql)
    for _, text in triggers:
        run(text)


@pytest.fixture
def chain(db) -> None:
    add(5)


def test_events_are_chained(chain, alice, key):
    assert verify().broken is None
    events = list(AuditEvent.objects.all())
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.prev for event in events[1:]] == [event.mac for event in events[:-1]]
    verified = events[-1]
    assert (verified.tag, verified.subject, verified.key) == ("key.verified", alice.pk, key.uuid)
    assert verify() == audit.Verdict(len(events), events[-1].mac)


@pytest.mark.django_db(transaction=True)
def test_g17_an_event_outside_the_transaction_of_its_act_is_an_error():
    with pytest.raises(RuntimeError, match="transaction of its act"):
        record(Tag.HALTED, actor=None)


@pytest.mark.django_db(transaction=True)
def test_g17_an_act_that_is_rolled_back_leaves_no_event():
    with transaction.atomic():
        User.objects.create_user("dave")
        record(Tag.HALTED, actor=None)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()
    assert not User.objects.exists()
    assert verify() == audit.Verdict(0, "")


CHANGES = {
    "update": (f"UPDATE {TABLE} SET outcome = 'failed' WHERE seq = 2",),
    "delete": (f"DELETE FROM {TABLE} WHERE seq = 5",),
    "update all": (f"UPDATE {TABLE} SET mac = ''",),
    "upsert": (
        f"INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE seq = 2 "
        "ON CONFLICT (seq) DO UPDATE SET outcome = 'failed'",
    ),
}
ON_SQLITE = {
    "replace": (f"REPLACE INTO {TABLE} SELECT * FROM {TABLE} WHERE seq = 5",),
    "insert or replace": (f"INSERT OR REPLACE INTO {TABLE} SELECT * FROM {TABLE} WHERE seq = 2",),
    "replace without the pragma": (
        "PRAGMA recursive_triggers = OFF",
        f"REPLACE INTO {TABLE} SELECT * FROM {TABLE} WHERE seq = 2",
    ),
    "update or replace": (f"UPDATE OR REPLACE {TABLE} SET seq = 1 WHERE seq = 2",),
}
ON_POSTGRESQL = {
    "truncate": (f"TRUNCATE {TABLE}",),
    "truncate cascade": ("TRUNCATE accounts_auditevent, accounts_audithead CASCADE",),
}


HERE = CHANGES | (ON_SQLITE if connection.vendor == "sqlite" else ON_POSTGRESQL)


@transaction.atomic
def attempt(statements: tuple[str, ...]) -> None:
    for sql in statements:
        run(sql)


@pytest.mark.parametrize("change", HERE)
def test_g17_the_database_refuses_to_change_the_trail(chain, change):
    """Finding A1: without `recursive_triggers` REPLACE passes by the delete trigger."""
    with pytest.raises(DatabaseError, match="append-only"):
        attempt(HERE[change])
    if connection.vendor == "sqlite":
        run("PRAGMA recursive_triggers = ON")
    assert AuditEvent.objects.count() == 5
    assert verify().broken is None


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a matter of SQLite")
def test_recursive_triggers_are_on_where_they_matter(db):
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA recursive_triggers")
        assert cursor.fetchone() == (1,)


TAMPERED = {
    f"UPDATE {TABLE} SET data = '{{}}' WHERE seq = 3": (3, "changed"),
    f"UPDATE {TABLE} SET actor = 1 WHERE seq = 1": (1, "changed"),
    f"UPDATE {TABLE} SET prev = '' WHERE seq = 2": (2, "changed"),
    f"UPDATE {TABLE} SET tag = 'key.added' WHERE seq = 5": (5, "changed"),
    f"DELETE FROM {TABLE} WHERE seq = 2": (3, "event 2 is missing"),
    f"DELETE FROM {TABLE} WHERE seq = 1": (2, "event 1 is missing"),
    f"DELETE FROM {TABLE} WHERE seq >= 4": (4, "end of the chain"),
    f"DELETE FROM {TABLE}": (1, "end of the chain"),
}


@pytest.mark.parametrize("sql", TAMPERED)
def test_g17_what_passes_by_the_triggers_breaks_the_chain(chain, sql):
    tamper(sql)
    verdict = verify()
    broken, why = TAMPERED[sql]
    assert (verdict.broken, why in verdict.why) == (broken, True), verdict


def test_g17_a_forged_event_breaks_the_chain(chain):
    last = AuditEvent.objects.get(seq=5)
    last.seq, last.prev = 6, last.mac
    last.save(force_insert=True)
    assert verify().broken == 6


def test_erasing_what_tells_a_person_keeps_the_chain(db):
    add(1, pii={"address": "192.0.2.7", "browser": "x"})
    assert verify().broken is None
    AuditPii.objects.all().delete()
    assert verify().broken is None


def test_changing_what_tells_a_person_breaks_the_chain(db):
    add(2, pii={"address": "192.0.2.7"})
    AuditPii.objects.filter(seq=2).update(data='{"address":"192.0.2.8"}')
    assert verify().broken == 2


def test_the_head_is_the_last_event(chain):
    head = AuditHead.objects.get()
    assert (head.seq, head.mac) == (5, AuditEvent.objects.get(seq=5).mac)


def test_events_are_exported_as_json_lines(chain):
    out = io.StringIO()
    assert audit.export(AuditEvent.objects.all(), out, "jsonl") == 5
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert rows[4]["data"] == {"number": 4}
    assert rows[4]["mac"] == AuditHead.objects.get().mac
    assert rows[0]["at"].endswith("+00:00")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\0"])
def test_a_spreadsheet_takes_no_text_for_a_formula(db, start):
    """ASVS 1.2.10."""
    event = AuditEvent(seq=1, at=timezone.now(), tag=f"{start}HYPERLINK()", data="{}")
    out = io.StringIO()
    assert audit.export([event], out, "csv") == 1
    cells = next(csv.DictReader(io.StringIO(out.getvalue())))
    assert cells["tag"] == f"'{start}HYPERLINK()"
    assert cells["seq"] == "1"


def test_no_tag_is_longer_than_its_column():
    assert max(len(tag.value) for tag in Tag) <= (AuditEvent._meta.get_field("tag").max_length or 0)


def test_an_event_is_not_logged_by_itself(chain, caplog):
    with caplog.at_level(logging.DEBUG):
        add(1, pii={"address": "192.0.2.7"})
    assert "192.0.2.7" not in caplog.text
