"""Readers and a revoker at work while the master key is rotated.

`python -m tests.faults.rotation_race seed ROWS`, `read`, `revoke`, `count` and `judge`: each a
process of its own. Readers and revoker run until their standard input ends and print their figures.
"""

import json
import random
import sys
import threading
import time
from typing import Any

import django

PAUSE = 0.002  # between two reads: the rotation wants to get on as well


def seed(rows: int) -> dict[str, object]:
    from accounts import key_versions, vault
    from accounts.models import ApiKey, KeyState, User
    from accounts.policy import KeyPolicy
    from accounts.sealed_rows import binding_of, columns_of
    from accounts.vault import Secret
    from tests.accounts import fakes

    ring, owner = key_versions.ready_ring(), User.objects.create(username="alice")
    key_versions.derived_key("audit")
    found = []
    for number in range(rows):
        row = ApiKey(owner=owner, label=f"key {number}", exchange="sandbox")
        row.policy_text, row.fingerprint, row.state = KeyPolicy().text, str(number), KeyState.USABLE
        texts = Secret(fakes.new_text()), Secret(fakes.new_text())
        for name, value in columns_of(vault.seal(*texts, binding_of(row), ring, 1)).items():
            setattr(row, name, value)
        found.append(row)
    ApiKey.objects.bulk_create(found, batch_size=500)
    return {"rows": ApiKey.objects.count()}


def read(ended: threading.Event) -> dict[str, object]:
    """Opens rows as a signature does; every tenth time it signs."""
    from accounts.errors import AccountsError, KeyBusy, KeyRevoked
    from accounts.signer import signed

    names, reads, signatures, bad = keys(), 0, 0, []
    while not ended.wait(PAUSE):
        key = random.choice(names)
        try:
            if random.random() < 0.1:
                signed(row(key), "/v2/auth/r/wallets", b"{}")
                signatures += 1
            else:
                reads += open_row(key)
        except (KeyRevoked, KeyBusy):
            continue
        except AccountsError as error:
            bad.append(f"{type(error).__name__}: {error}")
    return {"reads": reads, "signatures": signatures, "bad": bad}


def open_row(key: Any) -> int:
    from accounts import master_key, vault
    from accounts.sealed_rows import binding_of, sealed_of

    found = row(key)
    if found.is_revoked:
        return 0
    vault.open_sealed(sealed_of(found), binding_of(found), master_key.ring())
    return 1


def revoke(ended: threading.Event) -> dict[str, object]:
    from accounts.keys import revoke_key

    names, revoked = keys(), []
    random.shuffle(names)
    while names and not ended.is_set():
        key = row(names.pop())
        revoke_key(key=key, by=None, reason="race")
        revoked.append(str(key.pk))
        time.sleep(0.2)
    return {"revoked": revoked}


def judge(revoked: list[str]) -> dict[str, object]:
    from accounts import audit, rotation
    from accounts.models import ApiKey

    opened, broken = rotation.verify()
    living = ApiKey.objects.exclude(wrapped_dek=None)
    return {
        "opened": opened,
        "broken": broken,
        "on_the_old_version": living.exclude(kek_version=2).count(),
        "revived": living.filter(pk__in=revoked).count(),
        "revoked": ApiKey.objects.exclude(revoked_at=None).count(),
        "audit_broken_at": audit.verify().broken,
    }


def left() -> int:
    from accounts.models import ApiKey

    return ApiKey.objects.exclude(wrapped_dek=None).exclude(kek_version=2).count()


def row(key: Any) -> Any:
    from accounts.models import ApiKey

    return ApiKey.objects.with_seal().get(pk=key)


def keys() -> list[Any]:
    from accounts.models import ApiKey

    return list(ApiKey.objects.values_list("pk", flat=True))


def until_input_ends() -> threading.Event:
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def main(what: str, *words: str) -> None:
    django.setup()
    if what == "seed":
        print(json.dumps(seed(int(words[0]))))
    elif what == "judge":
        print(json.dumps(judge(json.loads(words[0]))))
    elif what == "left":
        for _ in sys.stdin:
            print(left(), flush=True)
    else:
        work = {"read": read, "revoke": revoke}[what]
        print("ready", flush=True)
        print(json.dumps(work(until_input_ends())), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
