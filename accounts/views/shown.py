"""A key as its pages show it: prepared words and values, so that templates only place them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from accounts.models import ApiKey, HaltLevel, KeyState
from accounts.policy import KeyPolicy, plain

SCOPES = {
    "account": "Account information",
    "history": "Account history",
    "orders": "Orders",
    "positions": "Margin positions",
    "funding": "Margin funding",
    "settings": "Settings",
    "wallets": "Wallets",
    "withdraw": "Withdrawals",
    "ui_withdraw": "Withdrawals in the web interface",
    "bfxpay": "Bitfinex Pay",
}
STATE_WORDS = {
    KeyState.UNVERIFIED: "not confirmed yet: the exchange could not be asked",
    KeyState.USABLE: "usable",
    KeyState.REFUSED: "refused; its secret is wiped",
    KeyState.REJECTED: "the exchange no longer accepts it",
    KeyState.QUARANTINED: "locked: it signs nothing until its owner has decided",
}


@dataclass(frozen=True, slots=True)
class ScopeShown:
    name: str
    meaning: str
    read: bool
    write: bool


class KeyShown:
    """One key at one moment."""

    def __init__(self, key: ApiKey, now: datetime) -> None:
        self.key, self._now = key, now
        self.uuid, self.label, self.last4 = key.uuid, key.label, key.last4
        self.policy_lines = policy_lines(key.policy)

    @property
    def state(self) -> str:
        """One word for scripts and styles: `revoked` becomes `quiet` a few seconds later."""
        if self.key.is_revoked:
            return "quiet" if self.key.is_quiet(self._now) else "revoked"
        if self.key.state == KeyState.USABLE and self.key.halt:
            return "halted"
        return "armed" if self.is_armed else str(self.key.state)

    @property
    def words(self) -> str:
        if self.key.is_revoked:
            done = "nothing of it is on its way any more" if self.state == "quiet" else "just now"
            return f"revoked, {done}"
        if self.state == "halted":
            level = HaltLevel(self.key.halt)
            return "halted: no orders" if level == HaltLevel.ORDERS else "halted: no signing"
        if self.is_armed:
            return "armed: may place orders"
        words = STATE_WORDS[KeyState(self.key.state)]
        return "read-only" if words == "usable" else words

    @property
    def is_armed(self) -> bool:
        return self.is_usable and self.key.is_armed(self._now)

    @property
    def is_usable(self) -> bool:
        return self.key.state == KeyState.USABLE and not self.key.is_revoked

    @property
    def is_locked(self) -> bool:
        return self.key.state == KeyState.QUARANTINED and not self.key.is_revoked

    @property
    def is_living(self) -> bool:
        """Whether there is still something to revoke."""
        return not self.key.is_revoked and self.key.state != KeyState.REFUSED

    @property
    def can_be_armed(self) -> bool:
        return self.is_usable and self.key.permissions.allows("orders", "write")

    @property
    def last_used(self) -> datetime | None:
        at = self.key.send_at
        return datetime.fromtimestamp(at / 1_000_000, UTC) if at else None

    @property
    def scopes(self) -> list[ScopeShown]:
        """Every scope we know, then those we do not."""
        granted = self.key.permissions
        names = [*SCOPES, *sorted(set(granted.scopes) - set(SCOPES))]
        return [
            ScopeShown(
                name,
                SCOPES.get(name, name),
                granted.allows(name, "read"),
                granted.allows(name, "write"),
            )
            for name in names
        ]

    @property
    def scope_summary(self) -> str:
        """What it may write, which is what matters; else that it only reads."""
        writes = [each.meaning for each in self.scopes if each.write]
        return f"writes: {', '.join(writes)}" if writes else "reads only"


def policy_lines(policy: KeyPolicy) -> list[tuple[str, str]]:
    return [
        ("Symbols", ", ".join(policy.symbols) or "all"),
        ("Largest order", dollars(policy.largest_order)),
        ("All orders of a day", dollars(policy.day_total)),
        ("Price band", f"{plain(policy.price_band * 100)} % beyond the last price"),
        ("Orders a minute", str(policy.orders_a_minute or "no limit but the exchange’s")),
    ]


def dollars(amount: Decimal) -> str:
    """In groups of three, with the thin space of ISO 80000."""
    whole, point, rest = plain(amount).partition(".")
    return f"{int(whole):,}{point}{rest} USD".replace(",", "\u202f")


def refusal_words(reason: str, detail: str) -> str:
    """Why a key was not added, for the person who pasted it."""
    words = {
        "malformed": "This does not look like an API key and secret of Bitfinex. Copy each whole, "
        "without quotes.",
        "known": "This key is already stored here. Every client needs a key of its own.",
        "withdraw": "This key may withdraw money. Make one without any withdrawal permission; "
        "this dashboard refuses the other kind.",
        "rejected": "The exchange does not accept this key and secret. See that the key is active, "
        "that both are copied whole, and that this server’s address may use it.",
        "label": "The label is one short line of readable text.",
    }
    said = f" It said: {detail}" if reason == "rejected" and detail else ""
    return words.get(reason, f"This key was refused: {reason}.") + said
