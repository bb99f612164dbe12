"""G5 and G7: processes sign with one key while it is revoked or halted.

Each runs on SQLite and PostgreSQL. A write is judged by the sender's own clock; arrivals are shown
as figures.
"""

import json
import threading

import pytest
from django.db import connection, transaction

from accounts import keys, nonces
from accounts.errors import KeyHalted, KeyRevoked
from accounts.models import ApiKey, HaltLevel, User
from tests.accounts import fakes
from tests.faults.installations import Installation, installation

__all__ = ["installation"]

RACE = "tests.faults.key_race"


def race(installation: Installation, stop: str, rounds: int, pause: float) -> dict[str, int]:
    seconds = 60 + rounds * (2 * pause + 6)
    figures: dict[str, int] = installation.ask(
        RACE, "race", stop, 8, rounds, pause, seconds=seconds
    )
    print(json.dumps(figures))
    return figures


def assert_nothing_leaves_late(figures: dict[str, int]) -> None:
    assert figures["sent_later_than_250ms"] == 0
    assert figures["granted_after_commit"] == 0
    assert figures["ms_last_write_after_commit"] <= 250
    assert figures["arrived_after_quiet"] == 0  # three seconds after the commit
    assert figures["arrived"] == figures["sent"] > 0


def test_g05_nothing_is_signed_after_a_revocation(installation):
    assert_nothing_leaves_late(race(installation, "revoke", rounds=3, pause=0.5))


def test_g07_no_order_is_signed_after_a_halt_and_cancels_are(installation):
    figures = race(installation, "halt", rounds=3, pause=0.5)
    assert_nothing_leaves_late(figures)
    assert figures["cancels_after_halt"] == 3 * 8


@pytest.mark.full
def test_g05_nothing_is_signed_after_sixty_revocations(installation):
    figures = race(installation, "revoke", rounds=60, pause=1.5)
    assert_nothing_leaves_late(figures)
    assert figures["dropped"] > 0


@pytest.mark.full
def test_g07_no_order_is_signed_after_sixty_halts(installation):
    figures = race(installation, "halt", rounds=60, pause=1.5)
    assert_nothing_leaves_late(figures)
    assert figures["cancels_after_halt"] == 60 * 8


def test_g05_a_frozen_worker_drops_its_request_when_it_wakes(installation):
    assert installation.ask(RACE, "frozen", 0.4)["dropped_us_late"] > 0


def test_g05_a_killed_worker_makes_nobody_wait(installation):
    figures = installation.ask(RACE, "killed")
    print(figures)
    assert figures["ms_next_waits"] < 250


# --- Waiting for the row (finding R3) -------------------------------------------------------------
@pytest.fixture
def armed(transactional_db, settings, alice, tmp_path) -> ApiKey:
    settings.BFX_MASTER_KEY_FILE = settings.MASTER_KEY_MADE = tmp_path / "keys" / "master_key"
    settings.KEY_EXCHANGE_BACKEND = "tests.accounts.fakes.FakeExchange"
    return keys.arm_key(key=add_key(alice, "race"), by=alice)


def add_key(owner: User, label: str) -> ApiKey:
    name, secret = fakes.new_text(), fakes.new_text()
    return keys.add_key(user=owner, label=label, api_key=name, api_secret=secret)


STOPS = {
    "revoke": (lambda key: keys.revoke_key(key=key, by=None, reason="x"), KeyRevoked),
    "halt": (
        lambda key: keys.halt_keys(by=None, level=HaltLevel.ORDERS, reason="x"),
        KeyHalted,
    ),
}


@pytest.mark.parametrize("stop", STOPS)
def test_g07_a_signer_that_waited_for_the_row_gets_nothing(armed, stop):
    """The stop is written but not committed when the grant is asked for."""
    act, refusal = STOPS[stop]
    asked = threading.Event()
    outcome: list[object] = []

    def sign() -> None:
        asked.set()
        try:
            outcome.append(nonces.grant(armed, "place"))
        except (KeyRevoked, KeyHalted) as error:
            outcome.append(error)
        connection.close()

    signer = threading.Thread(target=sign)
    with transaction.atomic():
        act(armed)
        signer.start()
        asked.wait()
        signer.join(0.3)
        assert signer.is_alive()  # it waits
    signer.join(10)
    assert [type(each) for each in outcome] == [refusal]


def test_g07_a_key_added_while_a_halt_is_written_is_halted_too(armed, alice):
    def add() -> None:
        add_key(alice, "late")
        connection.close()

    adder = threading.Thread(target=add)
    with transaction.atomic():
        keys.halt_keys(by=None, level=HaltLevel.ORDERS, reason="x")
        adder.start()
        adder.join(0.3)
        assert adder.is_alive()  # it waits
    adder.join(10)
    assert ApiKey.objects.get(label="late").halt == HaltLevel.ORDERS
