import pytest
from django.db import connection, transaction

from accounts import key_rows
from accounts.models import ApiKey


def test_a_locked_row_is_the_row_as_it_is_now(key):
    ApiKey.objects.filter(pk=key.pk).update(label="renamed")
    with key_rows.locked(key) as row:
        assert row.label == "renamed"
        assert row.get_deferred_fields() == set()


@pytest.mark.django_db(transaction=True)
def test_a_change_is_told_only_once_it_is_committed(key, django_capture_on_commit_callbacks):
    with key_rows.locked(key) as row:
        key_rows.change(row, label="renamed")
        assert len(connection.run_on_commit) == 1
    assert ApiKey.objects.get(pk=key.pk).label == "renamed"


def test_a_change_that_is_rolled_back_is_not_told(key, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as told, key_rows.locked(key):
        key_rows.change(key, label="renamed")
        transaction.set_rollback(True)
    assert not told
    assert ApiKey.objects.get(pk=key.pk).label == "main"
