"""Uses keys in every way, well and badly: `python -m tests.faults.canary CONTROL`.

Reads pairs of API key and secret as JSON from standard input, never from arguments or variables.
Writes what the host exports and what an error report shows into the data folder's `out`.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import django
import requests


def main(control: str) -> None:
    from django.conf import settings
    from django.core.management import call_command

    from accounts import keys
    from accounts.errors import KeyRefused
    from accounts.models import User

    pairs: dict[str, dict[str, Any]] = json.load(sys.stdin)
    out = settings.BFX_DATA_DIR / "out"
    out.mkdir()
    owner = User.objects.create(username="alice")
    key = keys.add_key(user=owner, label="good", **pairs["good"])
    keys.arm_key(key=key, by=owner)
    with suppress(KeyRefused):
        keys.add_key(user=owner, label="wrong", **pairs["wrong"])
    with suppress(KeyRefused):
        keys.add_key(
            user=owner, label="bad", api_key="short", api_secret=pairs["good"]["api_secret"]
        )
    with suppress(KeyRefused):
        keys.add_key(user=owner, label="twice", **pairs["good"])
    report_errors(key, control, out)
    call_command("audit", "export", "--out", str(out / "audit.jsonl"))
    call_command("audit", "export", "--format", "csv", "--out", str(out / "audit.csv"))
    call_command("dumpdata", output=str(out / "living.json"))
    call_command("backup", str(out / "living.copy"))
    keys.revoke_key(key=key, by=owner, reason="leaked", cancel_orders=True)
    call_command("dumpdata", output=str(out / "revoked.json"))
    print(json.dumps({"state": key.state}))


def report_errors(key: Any, control: str, out: Path) -> None:
    """One report for each way a signed call goes wrong, as Django would show or mail it."""
    from django.views.debug import ExceptionReporter

    from market.bitfinex import account
    from market.client import client

    faults: list[dict[str, object]] = [
        {"kind": "status", "status": 502, "times": 2},  # a read is asked once more
        {"kind": "truncate", "times": 2},
        {"kind": "lost", "times": 2},
        {"kind": "error", "code": 10100, "text": "apikey: invalid"},
        {"kind": "error", "times": 4},
    ]
    for number, fault in enumerate(faults):
        requests.post(f"{control}/faults", json=fault, timeout=5).raise_for_status()
        try:
            client().call(account.permissions(), key)
        except Exception:  # noqa: BLE001  whatever it is, it is reported
            reporter = ExceptionReporter(None, *sys.exc_info())
            text = reporter.get_traceback_html() + reporter.get_traceback_text()
            (out / f"report-{number}").write_text(text)
        requests.delete(f"{control}/faults", timeout=5)


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1])
