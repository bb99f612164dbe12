"""One step on the database of an installation: `python -m tests.faults.restored STEP`.

`fill` adds the keys kept and leaked and arms all; `revoke` revokes leaked; `show` prints
each key's facts as one JSON line; `sign` says which of them sign; `put-back FILE` is what somebody
does who knows nothing of `manage.py restore`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import django


def fill() -> dict[str, Any]:
    from django.conf import settings

    from accounts import keys
    from accounts.models import User
    from tests.accounts import fakes

    settings.KEY_EXCHANGE_BACKEND = "tests.accounts.fakes.current"
    fakes.CURRENT.append(fakes.FakeExchange())
    owner = User.objects.create(username="alice")
    for label in ("kept", "leaked"):
        pair: dict[str, Any] = {"api_key": fakes.new_text(), "api_secret": fakes.new_text()}
        keys.arm_key(key=keys.add_key(user=owner, label=label, **pair), by=owner)
    return show()


def revoke() -> dict[str, Any]:
    from accounts import keys
    from accounts.models import ApiKey

    key = ApiKey.objects.get(label="leaked")
    keys.revoke_key(key=key, by=key.owner, reason="leaked")
    return show()


def show() -> dict[str, Any]:
    from django.utils import timezone

    from accounts.models import ApiKey

    now = timezone.now()
    return {
        row.label: {
            "state": row.state,
            "armed": row.is_armed(now),
            "revoked": row.is_revoked,
            "sealed": row.sealed_secret is not None,
        }
        for row in ApiKey.objects.with_seal()
    }


def sign() -> dict[str, str]:
    from accounts.errors import AccountsError
    from accounts.models import ApiKey
    from accounts.signer import signed

    said = {}
    for row in ApiKey.objects.all():
        try:
            said[row.label] = str(signed(row, "/v2/auth/r/wallets", b"{}").nonce)
        except AccountsError as error:
            said[row.label] = type(error).__name__
    return said


def put_back(file: str) -> dict[str, Any]:
    from bfxdash import copies

    copies.put_back(Path(file))
    return show()


if __name__ == "__main__":
    django.setup()
    step, *words = sys.argv[1:]
    steps: dict[str, Any] = {"fill": fill, "revoke": revoke, "show": show, "sign": sign}
    print(json.dumps({**steps, "put-back": put_back}[step](*words)))
