"""Money moved between a customer's own wallets: `auth/w/transfer`."""

from typing import Any

from market.sandbox.records import TRANSFER, Entry, Records
from market.sandbox.tickets import money
from market.sandbox.wallets import Bank
from market.sandbox.wire import Denied

_NAMES = {"trading": "margin", "deposit": "funding"}
_KINDS = ("exchange", "margin", "funding")


def transfer(
    bank: Bank, records: Records, user: str, body: dict[str, Any], now: float
) -> list[Any]:
    """The notification (layout: recorded 2021). Raises Denied."""
    source, target = (_wallet_name(body, name) for name in ("from", "to"))
    currency = str(body.get("currency", ""))
    becomes = str(body.get("currency_to") or currency)
    amount, mts = money(body, "amount"), int(now * 1000)
    if amount <= 0:
        raise Denied(10001, "amount: invalid")
    if currency.removesuffix("F0") != becomes.removesuffix("F0"):
        raise Denied(10001, "currency_to: invalid")
    text = f"Transfer of {amount} {currency} from wallet {source} to {target}"
    wallet = bank.wallet(user, source, currency)
    if amount > wallet.available:
        raise Denied(10001, f"Transfer: available balance is only {wallet.available}")
    moves = ((wallet, -amount), (bank.wallet(user, target, becomes), amount))
    for moved, change in moves:
        bank.book(moved, change, text, {"reason": "TRANSFER"})
        records.add_entry(
            Entry(records.next_id(now), user, moved.currency, moved.kind, mts, change,
                  moved.balance, text, TRANSFER)
        )  # fmt: skip
    row = [mts, source, target, None, currency, becomes, None, amount]
    said = f"{amount} {currency} transfered from {source.title()} to {target.title()}"
    return [mts, "acc_tf", None, None, row, None, "SUCCESS", said]


def _wallet_name(body: dict[str, Any], name: str) -> str:
    """A wallet by its name or an old one. Raises Denied."""
    kind = str(body.get(name, ""))
    kind = _NAMES.get(kind, kind)
    if kind not in _KINDS:
        raise Denied(10001, f"{name}: invalid")
    return kind
