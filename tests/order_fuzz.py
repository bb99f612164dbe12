"""Traders and resolvers that die at every point of an order's way, as forked workers of a driver.

`python -m tests.order_fuzz` takes the lines of `tests.order_crew`, and `fuzz {…}` (see `Plan`).
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from tests import order_crew
from tests.order_crew import FORK, Crew, place_and_cancel

BEFORE_SENDING = ("unrecorded", "recorded", "granted", "begun")
AFTER_SENDING = ("sent", "answered", "noted")
POINTS = (*BEFORE_SENDING, *AFTER_SENDING, "any moment")
IN_A_ROUND = ("claimed", "looked", "judged")
ROUND_DIES = 0.1


@dataclass(frozen=True)
class Plan:
    """`traders` record `orders` altogether while `resolvers` settle; `kills` of them are killed at
    the points above. Replies are awaited `read` seconds; a trader rests `rest` seconds after each
    order. `pace` divides the waits of the product: 1 is the product as it is.
    """

    keys: list[str]
    traders: int = 3
    resolvers: int = 1
    orders: int = 40
    kills: int = 8
    read: float = 1.0
    rest: float = 0.0
    pace: float = 1.0
    seed: int = 1


class Doom:
    """Where this process dies, if it comes there and kills are left."""

    def __init__(self, left: Any, died: Any) -> None:
        self.left, self.died, self.point = left, died, ""

    def reach(self, point: str) -> None:
        if not point or point != self.point:
            return
        self.point = ""
        with self.left.get_lock():
            if self.left.value <= 0:
                return
            self.left.value -= 1
            self.died[[*POINTS, *IN_A_ROUND].index(point)] += 1
        os.kill(os.getpid(), signal.SIGKILL)

    def soon(self, chance: random.Random) -> None:
        """At some moment of the next tenth of a second, wherever the work is then."""
        self.point = "any moment"
        timer = threading.Timer(chance.uniform(0, 0.1), self.reach, ["any moment"])
        timer.daemon = True
        timer.start()


def around(owner: Any, name: str, doom: Doom, before: str, after: str) -> None:
    """Lets the process die before or after this function."""
    real = getattr(owner, name)

    @wraps(real)
    def call(*words: Any, **named: Any) -> Any:
        doom.reach(before)
        result = real(*words, **named)
        doom.reach(after)
        return result

    setattr(owner, name, call)


def lay_traps(doom: Doom, recorded: Any) -> None:
    from market import client, intents, resolver

    around(intents, "record", doom, "unrecorded", "recorded")
    count_records(intents, recorded)
    around(intents, "begin", doom, "granted", "begun")
    around(client._PunctualHTTP, "request", doom, "", "sent")
    around(client.RestClient, "_exchange_bytes", doom, "", "answered")
    around(intents, "accept", doom, "", "noted")
    around(resolver, "_look", doom, "claimed", "judged")
    around(resolver, "_judge", doom, "looked", "")


def count_records(intents: Any, recorded: Any) -> None:
    real = intents._record_once

    @wraps(real)
    def record(*words: Any, **named: Any) -> Any:
        result = real(*words, **named)
        with recorded.get_lock():
            recorded.value += 1
        return result

    intents._record_once = record


def fuzz(plan: Plan) -> dict[str, Any]:
    """Until so many orders are recorded; whatever is in doubt then is left to `truth`."""
    left, recorded = FORK.Value("i", plan.kills), FORK.Value("i", 0)
    died = FORK.Array("i", len(POINTS) + len(IN_A_ROUND))
    order_crew.hurry(plan.pace)

    def work(number: int, chance: random.Random, tell: Callable[[Any], None]) -> None:
        from market import client

        doom = Doom(left, died)
        client.Patience = partial(client.Patience, read=plan.read)  # type: ignore[misc,assignment]
        lay_traps(doom, recorded)
        if number < plan.traders:
            place_orders(plan, doom, chance, recorded, tell)
        else:
            resolve(plan, doom, chance, recorded)

    crew, told, began = Crew(work), Counter[str](), time.monotonic()
    try:
        for number in range(plan.traders + plan.resolvers):
            crew.spawn(number, plan.seed)
        crew.attend(
            lambda each: told.update([each["raised"] or each["state"]]), lambda _: None, plan.seed
        )
    finally:
        crew.close()
    points = dict(zip((*POINTS, *IN_A_ROUND), died[:], strict=True))
    killed = plan.kills - left.value
    seconds = round(time.monotonic() - began, 1)
    return {"told": told, "killed": killed, "points": points, "seconds": seconds}


def place_orders(
    plan: Plan, doom: Doom, chance: random.Random, recorded: Any, tell: Callable[[Any], None]
) -> None:
    trading = order_crew.Plan(keys=plan.keys, cancel=False, follow=0)
    # Some never come to their point, and of few orders chance may spare many.
    share = min(1.0, (1.3 if plan.orders >= 100 else 3.0) * plan.kills / plan.orders)
    while recorded.value < plan.orders:
        doom.point = chance.choice(POINTS) if chance.random() < share else ""
        if doom.point == "any moment":
            doom.soon(chance)
        tell(place_and_cancel(trading, chance.choice(plan.keys)))
        time.sleep(plan.rest)


def resolve(plan: Plan, doom: Doom, chance: random.Random, recorded: Any) -> None:
    """As a server does."""
    from market import resolver

    while recorded.value < plan.orders:
        doom.point = chance.choice(IN_A_ROUND) if chance.random() < ROUND_DIES else ""
        resolver.settle_due()
        time.sleep(0.2)


if __name__ == "__main__":
    order_crew.COMMANDS["fuzz"] = lambda **given: fuzz(Plan(**given))
    order_crew.main()
