"""Puts every hostile text into every column that people or the exchange fill, for the account boss:
`python -m tests.browser.hostile`. Prints the keys that show them on pages of their own.
"""

import json

import django


def main() -> None:
    from django.db import transaction
    from django.utils import timezone

    from accounts import audit, keys
    from accounts.models import ApiKey, Halt, HaltLevel, Notice, User
    from accounts.policy import KeyPolicy
    from tests.accounts.payloads import PAYLOADS

    boss = User.objects.get(username="boss")
    rows = []
    for text in PAYLOADS:
        row = ApiKey(owner=boss, label=text, exchange="sandbox", last4="0000", state="usable")
        row.policy_text = KeyPolicy().text
        row.save(force_insert=True)
        rows.append(row)
        Notice.objects.create(user=boss, at=timezone.now(), text=text)
        level = HaltLevel.ORDERS
        Halt.objects.create(scope=f"key:{row.pk}", key=row, level=level, reason=text)
        with transaction.atomic():
            audit.record(audit.Tag.HALTED, actor=boss, about=row, data={"reason": text})
    scopes = {text: ["read", "write"] for text in PAYLOADS}
    known = timezone.now()
    ApiKey.objects.filter(pk=rows[0].pk).update(scopes=scopes, scopes_at=known)
    keys.revoke_key(key=rows[1], by=boss, reason="".join(PAYLOADS[:6]))
    print(json.dumps({"scopes": str(rows[0].pk), "revoked": str(rows[1].pk)}))


if __name__ == "__main__":
    django.setup()
    main()
