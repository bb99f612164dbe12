import json
import re
from pathlib import Path

import pytest

from market.sandbox.calls import SCOPES, Need, endpoint, permit, read_permissions
from market.sandbox.keys import MAX_NONCE, Key, Keys, login_call, rest_call
from market.sandbox.store import Changes, Store
from market.sandbox.wire import Denied
from tests.market.sandbox.accounts import START, auth_event, signed

PATH = "auth/r/wallets"


@pytest.fixture
def keys() -> Keys:
    return Keys(Changes())


@pytest.fixture
def key(keys: Keys) -> Key:
    return keys.issue("bot", "you", {"wallets": ["read"]}, START)


def refusal(keys: Keys, call: object) -> tuple[int, str]:
    with pytest.raises(Denied) as denied:
        keys.admit(call, START)  # type: ignore[arg-type]
    return denied.value.code, denied.value.text


def test_key_and_secret_look_like_those_of_the_exchange(key: Key) -> None:
    assert re.fullmatch(r"[\w-]{43}", key.key)
    assert re.fullmatch(r"[\w-]{43}", key.secret)
    assert key.key != key.secret


def test_a_signed_call_is_admitted_with_and_without_a_body(keys: Keys, key: Key) -> None:
    assert keys.admit(signed(key, PATH, "{}"), START) is key
    assert keys.admit(signed(key, PATH, ""), START) is key


def test_signatures_agree_with_the_official_library(recordings: Path) -> None:
    vectors = json.loads((recordings / "rest/signing_vectors.json").read_text())
    for vector in (v for v in vectors if not v.get("ws")):
        keys = Keys(Changes())
        key = keys.issue("", "you", {}, START)
        key.secret = "testsecret"
        given = {"bfx-nonce": vector["nonce"], "bfx-apikey": key.key,
                 "bfx-signature": vector["sig"]}  # fmt: skip
        path = vector["path"].removeprefix("/v2/")
        keys.admit(rest_call(path, given, vector["body"].encode()), START)
        assert key.nonce == int(vector["nonce"])


def test_every_nonce_is_above_the_last_one_that_arrived(keys: Keys, key: Key) -> None:
    keys.admit(signed(key, PATH, nonce=100), START)

    for nonce in (100, 99, 1):
        assert refusal(keys, signed(key, PATH, nonce=nonce)) == (10114, "nonce: small")
    keys.admit(signed(key, PATH, nonce=101), START)
    assert (key.nonce, key.requests, key.refused_nonces) == (101, 5, 3)


@pytest.mark.parametrize("nonce", [MAX_NONCE + 1, "x", "-5", "1.5", " 7", "٣", "9" * 5000])
def test_a_nonce_that_is_none_is_refused(keys: Keys, key: Key, nonce: int | str) -> None:
    assert refusal(keys, signed(key, PATH, nonce=nonce)) == (10114, "nonce: invalid")


def test_the_largest_nonce_burns_a_key(keys: Keys, key: Key) -> None:
    keys.admit(signed(key, PATH, nonce=MAX_NONCE), START)

    assert refusal(keys, signed(key, PATH, nonce=MAX_NONCE)) == (10114, "nonce: small")


def test_a_wrong_signature_uses_no_nonce_up(keys: Keys, key: Key) -> None:
    wrong = signed(key, PATH, nonce=50)._replace(signature="é" * 96)

    assert refusal(keys, wrong) == (10100, "apikey: digest invalid")
    assert refusal(keys, signed(key, PATH, nonce=50)._replace(payload=b"x"))[0] == 10100
    keys.admit(signed(key, PATH, nonce=50), START)


def test_an_unknown_or_deleted_key_is_refused(keys: Keys, key: Key) -> None:
    assert refusal(keys, rest_call(PATH, {}, b"")) == (10100, "apikey: invalid")
    keys.delete(key.key)
    assert refusal(keys, signed(key, PATH)) == (10100, "apikey: invalid")
    with pytest.raises(KeyError):
        keys.delete(key.key)


def test_rest_and_socket_share_the_nonces(keys: Keys, key: Key) -> None:
    login = login_call(json.loads(auth_event(key.key, key.secret, 70)))
    keys.admit(login, START)

    assert refusal(keys, signed(key, PATH, nonce=70)) == (10114, "nonce: small")


def test_arrivals_are_remembered_with_what_became_of_them(keys: Keys, key: Key) -> None:
    keys.admit(signed(key, PATH, nonce=5), START)
    refusal(keys, signed(key, PATH, nonce=5))
    keys.note(signed(key, PATH, nonce=6), START + 1, "ERR_RATE_LIMIT")
    refusal(keys, rest_call(PATH, {"bfx-apikey": "other"}, b""))

    shown = [arrival.report() for arrival in keys.arrivals(key.key)]
    assert [(a["nonce"], a["ok"], a["error"]) for a in shown] == [
        ("5", True, ""), ("5", False, "nonce: small"), ("6", False, "ERR_RATE_LIMIT"),
    ]  # fmt: skip
    assert shown[2]["at"] == START + 1
    assert len(keys.arrivals()) == 4


def test_keys_and_nonces_survive_a_kill(tmp_path: Path) -> None:
    changes = Changes()
    keys = Keys(changes)
    key, gone = (keys.issue(label, "you", {"orders": ["write"]}, START) for label in "ab")
    keys.admit(signed(key, PATH, nonce=9), START)
    keys.delete(gone.key)
    Store(tmp_path / "accounts.sqlite3").write(changes.take())

    again = Keys(Changes())
    again.load(Store(tmp_path / "accounts.sqlite3"))
    assert again.all() == [key]
    assert refusal(again, signed(key, PATH, nonce=9)) == (10114, "nonce: small")


def test_permissions_change_and_the_nonce_can_be_pushed(keys: Keys, key: Key) -> None:
    keys.change(key.key, {"orders": ["write"]}, None)
    keys.change(key.key, None, 1000)

    assert (key.permissions, key.nonce) == ({"orders": ["write"]}, 1000)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("auth/r/orders", "auth/r/orders"),
        ("auth/r/orders/tBTCUSD/hist", "auth/r/orders"),
        ("auth/r/order/tTESTBTC:TESTUSD:5/trades", "auth/r/order"),
        ("auth/w/order/cancel", "auth/w/order/cancel"),
        ("auth/w/order/cancel/multi", "auth/w/order/cancel/multi"),
        ("auth/r/ordersx", None),
        ("auth/r", None),
        ("", None),
    ],
)
def test_a_path_belongs_to_one_endpoint(path: str, name: str | None) -> None:
    assert endpoint(path) == name


def test_one_of_the_needed_scopes_is_enough() -> None:
    need = Need("read", ("history", "orders"))

    permit({"orders": ["read"]}, need)
    permit({}, Need("read"))
    for given in ({}, {"orders": ["write"]}, {"wallets": ["read"]}):
        with pytest.raises(Denied, match="10001, 'api_key: permission invalid'"):
            permit(given, need)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, [], {"nope": []}, {"orders": "read"}, {"orders": ["all"]}])
def test_permissions_that_are_none_are_refused(given: object) -> None:
    with pytest.raises(ValueError, match="permissions"):
        read_permissions(given)
    assert list(read_permissions({scope: ["read"] for scope in reversed(SCOPES)})) == list(SCOPES)
