from typing import Any

import pytest

from market.sandbox import rest
from market.sandbox.rest_faults import RATE_LIMIT_BODIES, RestFaults, Spoiled

GOOD = rest.Reply(200, '[["tBTCUSD",1,2]]')
SUBMIT = "auth/w/order/submit"


@pytest.fixture
def faults() -> RestFaults:
    return RestFaults()


def test_a_fault_strikes_its_endpoint_as_often_as_asked(faults: RestFaults) -> None:
    faults.start("status", {"times": 2, "endpoint": "tickers"})

    assert faults.spoil("conf", GOOD).reply == GOOD
    spoiled = [faults.spoil("tickers", GOOD).reply for _ in range(3)]
    assert [reply.status for reply in spoiled] == [502, 502, 200]
    assert spoiled[0].content_type == "text/html"


def test_a_fault_can_strike_all_endpoints_below_a_path(faults: RestFaults) -> None:
    faults.start("lost", {"times": 9, "endpoint": "auth/w/*"})

    assert faults.spoil(SUBMIT, GOOD).lost
    assert not faults.spoil("auth/r/orders", GOOD).lost


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        ("truncate", {}, Spoiled(GOOD._replace(body=GOOD.body[:8]))),
        ("cut", {}, Spoiled(GOOD, cut=True)),
        ("lost", {}, Spoiled(GOOD, lost=True)),
        ("slow", {"seconds": 1.5}, Spoiled(GOOD, wait=1.5)),
        ("body", {"body": ""}, Spoiled(rest.Reply(200, ""))),
        ("body", {"size": 3, "status": 418}, Spoiled(rest.Reply(418, "xxx"))),
    ],
)
def test_a_reply_can_be_spoiled(
    faults: RestFaults, kind: str, arguments: dict[str, Any], expected: Spoiled
) -> None:
    faults.start(kind, arguments)

    assert faults.stop_call("tickers") is None, "the call is carried out"
    assert faults.spoil("tickers", GOOD) == expected
    assert faults.spoil("tickers", GOOD) == Spoiled(GOOD)


@pytest.mark.parametrize("kind", ["status", "body", "cut", "lost"])
def test_the_same_can_happen_before_the_call_is_carried_out(faults: RestFaults, kind: str) -> None:
    faults.start(kind, {"before": True})

    stopped = faults.stop_call(SUBMIT)
    assert stopped is not None
    assert not stopped.block
    assert faults.spoil(SUBMIT, GOOD) == Spoiled(GOOD)


def test_a_call_can_be_refused_with_any_error(faults: RestFaults) -> None:
    faults.start("error", {"times": 2})
    assert faults.stop_call(SUBMIT).spoiled.reply == rest.error(10114, "nonce: small")  # type: ignore[union-attr]
    faults.stop()
    faults.start("error", {"code": 10100, "text": "apikey: invalid"})
    assert faults.stop_call(SUBMIT).spoiled.reply == rest.error(10100, "apikey: invalid")  # type: ignore[union-attr]


@pytest.mark.parametrize("form", RATE_LIMIT_BODIES)
def test_the_rate_limit_has_every_form_that_was_seen(faults: RestFaults, form: str) -> None:
    faults.start("rate_limit", {"form": form})

    stopped = faults.stop_call(SUBMIT)
    assert stopped is not None
    assert stopped.spoiled.reply == rest.Reply(429, RATE_LIMIT_BODIES[form])
    assert stopped.block


def test_a_call_can_be_held_up_and_everything_be_slow(faults: RestFaults) -> None:
    faults.start("hold", {"seconds": 3})
    assert [faults.wait_up(SUBMIT), faults.wait_up(SUBMIT)] == [3, 0]
    faults.start("latency", {"up": 0.02, "down": 1})

    assert len({faults.wait_up(SUBMIT) for _ in range(9)}) == 9
    assert all(0 <= faults.wait_up(SUBMIT) <= 0.02 for _ in range(99))
    assert 0 < faults.spoil(SUBMIT, GOOD).wait <= 1
    faults.stop()
    assert faults.wait_up(SUBMIT) == 0


def test_a_share_of_the_calls_can_be_hit(faults: RestFaults) -> None:
    faults.start("lost", {"share": 0.35, "times": 10_000})

    lost = sum(faults.spoil(SUBMIT, GOOD).lost for _ in range(1000))
    assert 300 < lost < 400


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("status", {"status": "x"}), ("slow", {"seconds": "x"}), ("rate_limit", {"form": "x"})],
)
def test_bad_arguments_are_refused_at_once(
    faults: RestFaults, kind: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, KeyError)):
        faults.start(kind, arguments)
