"""The clock that every process of an installation reads: the database's.

Several machines may share one PostgreSQL, and their own clocks differ. SQLite is one machine, so
the clock of the process is the same one. Either may be set; the steady clock may not.
"""

import time

from django.db import connection


def now_us() -> int:
    """µs since epoch. Costs one statement on PostgreSQL; on a locked row, read it after the lock:
    waiting makes an earlier reading old.
    """
    if connection.vendor != "postgresql":
        return time.time_ns() // 1000
    with connection.cursor() as cursor:
        cursor.execute("SELECT (extract(epoch from clock_timestamp()) * 1000000)::bigint")
        return int(cursor.fetchone()[0])


def steady() -> float:
    """Seconds that really pass, also while the machine sleeps, wherever the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
