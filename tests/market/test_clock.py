"""Every process of an installation reads the same clock."""

import time

import pytest
from django.db import connection, transaction

from market import clock

MINUTE_US = 60_000_000


@pytest.mark.django_db
def test_now_is_microseconds_since_1970_on_either_database():
    assert abs(clock.now_us() - time.time_ns() // 1000) < MINUTE_US


@pytest.mark.django_db(transaction=True)
def test_now_goes_on_inside_a_transaction():
    with transaction.atomic():
        first = clock.now_us()
        time.sleep(0.005)
        assert clock.now_us() - first >= 5000


@pytest.mark.django_db
def test_only_postgresql_is_asked_for_the_time(django_assert_num_queries):
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 0):
        clock.now_us()


def test_the_steady_clock_counts_the_seconds_that_pass():
    first = clock.steady()
    time.sleep(0.02)
    assert 0.02 <= clock.steady() - first < 5
