"""Signatures against vectors that the exchange's own library made."""

import json
from pathlib import Path
from typing import Any

import pytest

from accounts.signing import MAX_NONCE, rest_payload, sign, ws_auth_payload

SECRET = "testsecret"


@pytest.fixture
def vectors(recordings: Path) -> Any:
    return json.loads((recordings / "rest" / "signing_vectors.json").read_text())


def test_rest_calls_are_signed_as_the_official_library_does(vectors):
    rest = [vector for vector in vectors if "path" in vector]
    assert len(rest) == 4
    for vector in rest:
        payload = rest_payload(vector["path"], int(vector["nonce"]), vector["body"].encode())
        assert payload.decode() == vector["payload"]
        assert sign(SECRET, payload) == vector["sig"]


def test_a_log_in_is_signed_as_the_official_library_does(vectors):
    login = next(vector for vector in vectors if vector.get("ws"))
    payload = ws_auth_payload(int(login["nonce"]))
    assert payload == login["payload"]
    assert sign(SECRET, payload.encode()) == login["sig"]


@pytest.mark.parametrize(
    "path", ["auth/r/wallets", "/v2/tickers", "/v2/auth/r?x=1", "/v2/auth/%3A"]
)
def test_any_other_path_is_refused(path):
    with pytest.raises(ValueError, match="not the plain path"):
        rest_payload(path, 1, b"{}")


@pytest.mark.parametrize("nonce", [0, -1, MAX_NONCE + 1])
def test_a_nonce_outside_the_range_of_the_exchange_is_refused(nonce):
    with pytest.raises(ValueError, match="never accepted"):
        ws_auth_payload(nonce)
    assert ws_auth_payload(MAX_NONCE) == "AUTH9007199254740991"
