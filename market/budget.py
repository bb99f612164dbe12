"""The budget of WebSocket connections, shared by every process behind one egress address."""

from collections.abc import Callable

from django.db import transaction

from market import clock
from market.bitfinex.pacing import decide_connect, guarded_window_us
from market.conf import exchange
from market.limits import read_rates
from market.models import ConnectBudget


def pay_connect(
    scope: str = "public", *, reconnect: bool = True, now_us: Callable[[], int] = clock.now_us
) -> float:
    """Pay for one connection attempt to the public host: 0 when it may start at once, else the
    seconds to wait before asking again. What is paid stays paid, whatever becomes of the attempt.
    A quarter of the budget is kept for reconnects.

    Raises Django's database errors when the ledger is out of reach: then no attempt may start.
    """
    here = exchange()
    rates = read_rates(here.rates)
    limit = rates.connects if reconnect else max(1, rates.connects - rates.connects // 4)
    with transaction.atomic(durable=True):
        row = _locked(f"{here.egress}|{scope}")
        decision = decide_connect(row.ring, now_us(), limit, guarded_window_us(rates.window))
        row.ring = decision.ring
        row.save(update_fields=["ring"])
    return decision.wait_us / 1_000_000


def use_up_connects(scope: str = "public", *, now_us: Callable[[], int] = clock.now_us) -> None:
    """The exchange has limited us: nobody behind this address may connect for a whole window."""
    here = exchange()
    with transaction.atomic(durable=True):
        row = _locked(f"{here.egress}|{scope}")
        row.ring = [now_us()] * read_rates(here.rates).connects
        row.save(update_fields=["ring"])


def _locked(scope: str) -> ConnectBudget:
    locked = ConnectBudget.objects.select_for_update()
    row = locked.filter(scope=scope).first()
    if row is None:
        ConnectBudget.objects.bulk_create([ConnectBudget(scope=scope)], ignore_conflicts=True)
        row = locked.get(scope=scope)
    return row
