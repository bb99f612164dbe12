import json

import pytest

from accounts.permissions import Permissions


def test_permissions_are_read_from_the_rows_of_the_exchange():
    found = Permissions.from_rows([("orders", 1, 1), ("wallets", 1, 0), ("settings", 0, 0)])
    assert found.allows("orders", "write")
    assert found.allows("wallets", "read")
    assert not found.allows("wallets", "write")
    assert not found.allows("settings", "read")
    assert not found.allows("never heard of", "read")


def test_permissions_survive_the_database():
    found = Permissions.from_rows([("orders", 1, 1), ("wallets", 0, 1)])
    assert Permissions(json.loads(json.dumps(found.scopes))) == found


@pytest.mark.parametrize(
    ("row", "withdraws"),
    [
        (("withdraw", 0, 0), False),
        (("withdraw", 0, 1), True),
        (("withdraw", 1, 0), True),
        (("ui_withdraw", 0, 1), True),
        (("wallets", 1, 1), False),
    ],
)
def test_any_scope_of_withdrawals_counts(row, withdraws):
    assert Permissions.from_rows([("orders", 1, 1), row]).withdraws is withdraws


def test_the_recorded_sample_of_the_exchange_could_withdraw(recordings):
    lines = (recordings / "rest" / "bitfinex.net_endpoint_samples.jsonl").read_text().splitlines()
    samples = [json.loads(line) for line in lines]
    rows = next(sample for sample in samples if sample["name"].endswith("GetApiKeyPermissions"))
    assert Permissions.from_rows(rows["response"]).withdraws
