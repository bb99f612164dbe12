"""Processes that want far more than the exchange's limits give, as forked workers of a driver.

`python -m tests.order_hunger` takes the lines of `tests.order_crew`, and `hunger {…}` (see `Plan`).
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests import order_crew
from tests.order_crew import FORK, Crew, place_and_cancel, warm_up

TURN_S = 0.1  # hunger for calls, not for the processor


@dataclass(frozen=True)
class Plan:
    """For so many `seconds` each of the `processes` places orders, and looks at the open ones in
    both lanes. Meanwhile, one second apart, so many `cancels` are sent by a process of its own.
    """

    keys: list[str]
    processes: int = 3
    seconds: float = 6.0
    cancels: int = 3


def hunger(plan: Plan) -> dict[str, Any]:
    """How often each call had which outcome; for each cancel, what became of it after how many
    seconds, and how many seconds after the start the hungry ones had to wait."""
    trading = order_crew.Plan(keys=plan.keys, cancel=False, follow=0)
    ready, start = FORK.Semaphore(0), FORK.Event()

    def work(number: int, chance: random.Random, tell: Callable[[Any], None]) -> None:
        mine = open_orders(trading, plan.cancels) if number == 0 else []
        warm_up(trading)
        ready.release()
        start.wait()
        if number == 0:
            cancel_in_turn(trading.keys[0], mine, tell)
        else:
            eat(trading, plan.seconds, chance, tell)

    crew, outcomes, cancels = Crew(work), Counter[str](), list[list[Any]]()

    def hear(told: Any) -> None:
        if isinstance(told, list):
            cancels.append(told)
        else:
            outcomes.update(told)

    try:
        for number in range(plan.processes + 1):
            crew.spawn(number, 1)
        for _ in range(plan.processes + 1):
            ready.acquire(timeout=60)
        start.set()
        crew.attend(hear, lambda _: None, 1)
    finally:
        crew.close()
    return {"outcomes": outcomes, "cancels": cancels}


def eat(
    trading: order_crew.Plan, seconds: float, chance: random.Random, tell: Callable[[Any], None]
) -> None:
    from accounts.models import ApiKey

    end, seen = time.monotonic() + seconds, Counter[str]()
    keys = list(ApiKey.objects.filter(pk__in=trading.keys))
    while time.monotonic() < end:
        lane = chance.choice(["place", "read", "read", "look_up"])
        if lane == "place":
            told = place_and_cancel(trading, chance.choice(trading.keys))
            seen[f"place {told['raised'] or told['state']}"] += 1
        else:
            seen[f"{lane} {look(chance.choice(keys), lane)}"] += 1
        time.sleep(TURN_S)
    tell(seen)


def look(key: Any, lane: Any) -> str:
    from market.bitfinex import account
    from market.bitfinex.errors import ExchangeError
    from market.client import client

    try:
        client().call(account.open_orders(), key, lane=lane, deadline=0.3)
    except ExchangeError as error:
        return type(error).__name__
    return "ok"


def open_orders(trading: order_crew.Plan, count: int) -> list[int]:
    from market.models import OrderIntent

    for _ in range(count):
        place_and_cancel(trading, trading.keys[0])
    found = OrderIntent.objects.filter(key=UUID(trading.keys[0])).exclude(order_id=None)
    return [intent.order_id or 0 for intent in found]


def cancel_in_turn(uuid: str, mine: list[int], tell: Callable[[Any], None]) -> None:
    from accounts.models import ApiKey
    from market.orders import cancel_order

    key = ApiKey.objects.select_related("owner").get(pk=uuid)
    time.sleep(1.5)  # by then all is used up
    for number in mine:
        began = time.monotonic()
        done = cancel_order(user=key.owner, key=key, order_id=number)
        tell([done.state, round(time.monotonic() - began, 3)])
        time.sleep(1)


if __name__ == "__main__":
    order_crew.COMMANDS["hunger"] = lambda **given: hunger(Plan(**given))
    order_crew.main()
