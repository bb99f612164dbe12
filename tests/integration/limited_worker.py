"""One of several processes behind one address: `python -m tests.integration.limited_worker WHAT
SECONDS`. Prints what became of it as one JSON line.
"""

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from market.bitfinex.rest import Request

Turn = Callable[[], str]


def calls() -> Turn:
    """Calls in both lanes, for the installation and for two users, far above the budget."""
    from market.bitfinex.rest import ticker

    return partial(call, ticker("tBTCUSD"))


def calls_for_all() -> Turn:
    """The same for the endpoint that gives the whole table."""
    from market.bitfinex.rest import tickers

    return partial(call, tickers(["tBTCUSD"]))


def call(request: "Request[Any]") -> str:
    from market.bitfinex.errors import ExchangeError, RateLimited
    from market.client import client
    from market.limits import Lane

    lanes: tuple[Lane, ...] = ("read", "read", "read", "look_up")
    lane, user = random.choice(lanes), random.choice([None, 1, 2])
    try:
        client().call(request, lane=lane, deadline=random.choice([0, 0.5]), user=user)
    except RateLimited as error:
        time.sleep(min(0.05, error.retry_after))
        return type(error).__name__
    except ExchangeError as error:
        return type(error).__name__
    return "ok"


def connects() -> Turn:
    """Connection attempts, each at the moment it is paid."""
    from market.budget import pay_connect

    def turn() -> str:
        wait = pay_connect()
        time.sleep(min(wait, 0.02))
        return "wait" if wait else f"{time.time():.6f}"

    return turn


def lease() -> Turn:
    """Moments at which this process surely held the lease."""
    from market.lease import hold

    def turn() -> str:
        asked_at = time.time()
        held = hold(0, str(os.getpid()), 0.4)
        time.sleep(0.05)
        return f"{asked_at:.3f}" if held else "stand by"

    return turn


def main(what: str, seconds: float) -> None:
    django.setup()
    turn = {"calls": calls, "calls_for_all": calls_for_all, "connects": connects, "lease": lease}[
        what
    ]()
    print("ready", flush=True)
    end = time.monotonic() + seconds
    outcomes: Counter[str] = Counter()
    while time.monotonic() < end:
        outcome = turn()
        outcomes[outcome] += 1
        if outcome[0].isdigit():
            print(outcome, flush=True)  # also what a killed process did counts
    print(json.dumps(outcomes), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
