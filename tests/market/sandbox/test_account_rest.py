import json
from pathlib import Path
from typing import Any

import pytest

from market.sandbox.house import House
from market.sandbox.key_page import page
from market.sandbox.keys import Key
from market.sandbox.rules import Rates
from market.sandbox.state import Market
from tests.market.sandbox.accounts import ALL, START, signed


@pytest.fixture
def house() -> House:
    return House(Market(1, START, ("tBTCUSD",)), Rates(), 1)


@pytest.fixture
def key(house: House) -> Key:
    house.bank.user("you", START)
    return house.keys.issue("bot", "you", ALL, START)  # type: ignore[arg-type]


def ask(house: House, key: Key, path: str, body: str = "{}") -> tuple[int, Any]:
    call = signed(key, path, body)
    reply = house.account.answer("POST", call, body.encode(), START)
    is_json = reply.content_type == "application/json"
    return reply.status, json.loads(reply.body) if is_json else reply.body


def sample(recordings: Path, name: str) -> Any:
    text = (recordings / "rest/bitfinex.net_endpoint_samples.jsonl").read_text()
    lines = (json.loads(line) for line in text.splitlines())
    return next(line["response"] for line in lines if line["name"].endswith(name))


def test_permissions_are_those_the_key_was_given(house: House, recordings: Path) -> None:
    key = house.keys.issue("", "you", {"orders": ["read", "write"], "wallets": ["read"]}, START)

    status, rows = ask(house, key, "auth/r/permissions")
    assert status == 200
    assert [row[0] for row in rows] == [r[0] for r in sample(recordings, "GetApiKeyPermissions")]
    assert {row[0]: row[1:] for row in rows if any(row[1:])} == {
        "orders": [1, 1], "wallets": [1, 0],
    }  # fmt: skip


def test_wallets_have_the_documented_layout(house: House, key: Key, recordings: Path) -> None:
    status, rows = ask(house, key, "auth/r/wallets", "")

    assert status == 200
    assert {len(row) for row in rows} == {len(sample(recordings, "GetBalances")[0])}
    assert ["exchange", "BTC", 10, 0, 10, None, None] in rows
    assert any(row[1].startswith("TEST") for row in rows)


def test_the_user_has_the_documented_layout(house: House, key: Key, recordings: Path) -> None:
    _, row = ask(house, key, "auth/r/info/user")
    theirs = sample(recordings, "GetUserInfo")

    assert len(row) == len(theirs)
    assert [type(row[place]) for place in (0, 1, 2, 3, 44)] == [int, str, str, int, str]


def test_a_missing_permission_is_said(house: House) -> None:
    key = house.keys.issue("", "you", {"orders": ["read", "write"]}, START)

    assert ask(house, key, "auth/r/wallets") == (
        500, ["error", 10001, "api_key: permission invalid"],
    )  # fmt: skip


@pytest.mark.parametrize("body", ["[]", "{", "5", '"x"'])
def test_a_body_that_is_no_object_is_refused(house: House, key: Key, body: str) -> None:
    assert ask(house, key, "auth/r/wallets", body) == (500, ["error", 10020, "body: invalid"])


@pytest.mark.parametrize("path", ["auth/r/nope", "auth/r/wallets/nope", "auth/r/permissions/x"])
def test_an_unknown_path_is_an_html_404(house: House, key: Key, path: str) -> None:
    status, body = ask(house, key, path)

    assert status == 404
    assert f"Cannot POST /api/v2/{path}" in body


def test_account_calls_are_posts(house: House, key: Key) -> None:
    call = signed(key, "auth/r/wallets", "")

    assert house.account.answer("GET", call, b"", START).status == 404
    assert key.requests == 0


def test_the_key_page_shows_a_secret_only_for_a_fresh_key(house: House, key: Key) -> None:
    key.label = "<b>bot</b>"

    assert key.secret in page(house.keys.all(), key)
    later = page(house.keys.all())
    assert key.secret not in later
    assert "&lt;b&gt;bot" in later
    assert "<b>bot" not in later
    assert "There are none yet" in page([])
