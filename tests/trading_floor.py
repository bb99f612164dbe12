"""An installation and a sandbox exchange, where several processes trade with the same keys."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests import servers
from tests.installation import Installation

CREW = "tests.order_crew"
WIDE = {"window": 60, "rates": {"other": 5000, "tickers": 500}}
"""Limits that nobody meets: what is tested then is the order of the nonces."""


class Floor:
    """One driver of `tests.order_crew`, its database and its exchange."""

    def __init__(
        self, folder: Path, database_url: str, rates: dict[str, Any], *, crew: str = CREW
    ) -> None:
        (folder / "exchange").mkdir()
        settings = {"BFX_RATES": json.dumps(rates)} if rates else {}
        self.exchange = servers.Exchange(folder / "exchange", **settings)
        settings |= self.exchange.settings | {"LOG_LEVEL": "CRITICAL"}
        self.made = Installation(folder, database_url, **settings)
        self.driver = self.made.start(crew)
        self.ask("migrate")

    def ask(self, what: str, **given: Any) -> Any:
        """Raises with the driver's exit status when it failed; why is on standard error."""
        assert self.driver.stdin
        assert self.driver.stdout
        self.driver.stdin.write(json.dumps([what, given]) + "\n")
        self.driver.stdin.flush()
        line = self.driver.stdout.readline()
        if not line:
            raise RuntimeError(f"{what}: the driver ended with status {self.driver.wait()}")
        return json.loads(line)

    def open_desk(self, keys: int = 1) -> "KeysOfAlice":
        made = self.ask("prepare", control=self.exchange.control, count=keys)
        return KeysOfAlice(self, made["uuids"], made["names"])

    def close(self) -> None:
        self.made.stop()
        self.exchange.stop()


class KeysOfAlice:
    """Fresh keys: `uuids` as the dashboard knows them, `names` as the exchange does."""

    def __init__(self, floor: Floor, uuids: list[str], names: list[str]) -> None:
        self.floor, self.uuids, self.names = floor, uuids, names
        self.control = floor.exchange.control

    def trade(self, **plan: Any) -> dict[str, Any]:
        done: dict[str, Any] = self.floor.ask("trade", keys=self.uuids, **plan)
        return done

    def truth(self, settle: float = 90) -> dict[str, Any]:
        """Once all is settled, or after so many seconds: database and exchange side by side."""
        keys = {"uuids": self.uuids, "names": self.names}
        found = self.floor.ask("truth", control=self.control, keys=keys, seconds=settle)
        return dict(found)

    def push_nonce(self, nonce: int) -> None:
        """As a foreign program with the same key would."""
        url = f"{self.control}/keys/{self.names[0]}"
        requests.patch(url, json={"nonce": nonce}, timeout=5).raise_for_status()

    def refused_inside(self) -> int:
        """Nonces that the exchange refused."""
        rows = requests.get(f"{self.control}/keys", timeout=5).json()["keys"]
        return sum(row["refused_nonces"] for row in rows if row["key"] in self.names)

    def arrivals(self) -> list[dict[str, Any]]:
        """Of signed calls with these keys, oldest first."""
        rows = requests.get(f"{self.control}/arrivals", timeout=30).json()["arrivals"]
        return [row for row in rows if row["key"] in self.names]


def assert_true(found: dict[str, Any]) -> None:
    """Nothing was placed twice, lost or told wrongly, and nothing is in doubt."""
    told = {name: found[name] for name in ("duplicate", "lost", "unsettled", "false")}
    assert told == {"duplicate": 0, "lost": 0, "unsettled": 0, "false": []}


def wait_until(ready: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.02)
