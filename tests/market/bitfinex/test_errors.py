import json
import pickle
from pathlib import Path

import pytest

from market.bitfinex.errors import (
    AuthRefused,
    ExchangeError,
    LimiterClosed,
    Maintenance,
    NonceRefused,
    NoReply,
    NoSlot,
    NotExecuted,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unavailable,
    Unreachable,
    Unreadable,
    refusal,
)

HTML_403 = b"<!DOCTYPE html><html><title>Access denied | Cloudflare</title></html>"


def error(status: int, body: object) -> ExchangeError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = refusal(status, raw)
    assert found is not None
    return found


def recorded(folder: Path) -> list[tuple[int, bytes]]:
    """Every recorded error answer; the exchange's usual status 500 where none was recorded."""
    lines = (folder / "errors" / "rest_error_bodies.jsonl").read_text().splitlines()
    answers = []
    for line in map(json.loads, lines):
        body = line["body"]
        if isinstance(body, str):
            raw = HTML_403 if body.startswith("file:") else body.encode()
        else:
            raw = json.dumps(body).encode()
        answers.append((line["status"] or 500, raw))
    return answers


def test_every_recorded_error_answer_has_its_place_in_the_tree(recordings: Path):
    kinds = [type(refusal(status, body)) for status, body in recorded(recordings)]
    assert kinds == [
        *[AuthRefused] * 2,
        NonceRefused,
        *[RateLimited] * 3,
        *[Rejected] * 5,
        Maintenance,
        Unavailable,
        *[Unreadable] * 2,
    ]


@pytest.mark.parametrize("status", [200, 400, 429, 500])
@pytest.mark.parametrize(
    "body",
    [
        {"error": "ERR_RATE_LIMIT"},
        {"message": "Ratelimit"},
        ["error", 11010, "ratelimit: error"],
        ["error", 10000, "ERR_RATE_LIMIT"],
    ],
)
def test_a_rate_limit_is_known_in_every_form_and_pauses_a_minute(status: int, body: object):
    found = error(status, body)
    assert isinstance(found, RateLimited)
    assert found.retry_after == 60


@pytest.mark.parametrize("body", [b"", b"<html>", b"ERR_RATE_LIMIT", b'["error",10001,"x"]'])
def test_status_429_is_a_rate_limit_whatever_the_body(body: bytes):
    assert isinstance(error(429, body), RateLimited)


def test_a_gateways_page_about_rate_limits_counts_as_one():
    assert isinstance(error(403, b"<html>You are being rate limited</html>"), RateLimited)


def test_a_result_that_mentions_rate_limits_is_a_result():
    assert refusal(200, b'[1,"on-req",null,null,[],null,"SUCCESS","ratelimit"]') is None


def test_the_code_decides_and_the_text_is_kept():
    found = error(500, ["error", 10001, "Invalid order: not enough exchange balance"])
    assert isinstance(found, Rejected)
    assert (found.code, found.text) == (10001, "Invalid order: not enough exchange balance")


def test_an_error_without_a_text_still_has_its_code():
    found = error(500, ["error", 10114])
    assert isinstance(found, NonceRefused)
    assert (found.code, found.text) == (10114, "")


@pytest.mark.parametrize("body", [b'["error",10020,"x"]', b' [ "error", 10020, "x" ] '])
def test_an_error_is_an_error_with_status_200_too(body: bytes):
    assert isinstance(error(200, body), Rejected)


@pytest.mark.parametrize("code", [11000, 20051, 20060])
def test_maintenance_and_restart_are_told_apart_from_refusals(code: int):
    assert isinstance(error(500, ["error", code, "…"]), Maintenance)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_answers_for_the_exchange_proves_nothing(status: int):
    found = error(status, b"<html><h1>Bad Gateway</h1></html>")
    assert isinstance(found, Unavailable)
    assert isinstance(found, OutcomeUnknown)
    assert found.status == status


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"null"),
        (200, b"{}"),
        (200, b'"text"'),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, b'{"a":' * 100_000),
        (301, b"[1]"),
        (500, b"[1]"),
        (500, b'["error","10001","text"]'),
        (500, b'["error",10114,"nonce: sm'),
    ],
)
def test_what_is_not_the_exchanges_language_proves_nothing(status: int, body: bytes):
    assert type(error(status, body)) is Unreadable


def test_an_excerpt_is_short_and_holds_nothing_a_terminal_obeys():
    found = error(500, b"\x1b[31m\r\nfake log line\x00" + b"x" * 100_000)
    assert isinstance(found, Unreadable)
    assert len(found.excerpt) <= 200
    assert found.excerpt.isprintable()
    assert "\\x1b[31m\\r\\nfake log line" in found.excerpt


def test_the_branches_tell_whether_an_order_may_have_been_executed():
    for kind in (RateLimited, LimiterClosed, Unreachable, Maintenance, NonceRefused, AuthRefused):
        assert issubclass(kind, NotExecuted)
    for other in (NoReply, Unavailable, Unreadable):
        assert issubclass(other, OutcomeUnknown)
        assert not issubclass(other, NotExecuted)
    assert issubclass(NoSlot, RateLimited)


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (RateLimited(60), "rate limited, free in 60.0 s"),
        (NoSlot("tickers", 2.5), "no request left for tickers, free in 2.5 s"),
        (LimiterClosed("OperationalError"), "request budgets out of reach (OperationalError)"),
        (Unreachable("ConnectTimeout"), "cannot reach the exchange (ConnectTimeout)"),
        (NoReply("ReadTimeout"), "no whole reply (ReadTimeout)"),
        (Rejected(10020, "symbol: invalid"), "10020 symbol: invalid"),
        (Unreadable(404, "<html>"), "HTTP 404 with an unreadable body: <html>"),
    ],
)
def test_errors_have_a_line_for_the_log_and_survive_a_pickle(raised: ExchangeError, text: str):
    assert str(raised) == text
    assert str(pickle.loads(pickle.dumps(raised))) == text
