"""Why something about a key was not done. Exceptions carry data; pages choose the words.

AccountsError
├── KeyUnusable        this key will not sign, whoever asks
│   ├── KeyRevoked
│   ├── KeyHalted      orders, or all signing, are stopped
│   ├── KeyNotArmed    reading works, placing does not
│   ├── KeyNotReady    unverified, refused, rejected, quarantined, or of another exchange
│   ├── KeyChanged     its policy changed since it was read
│   ├── PermissionMissing
│   └── NonceExhausted
├── KeyBusy            another request has the next slot; ask again after `wait_us`
├── SendWindowMissed   the signature is too old to be sent; ask for another
├── SealBroken         the sealed text is not what was sealed for this row
├── MasterKeyError     missing, weak, wrong or readable by others
├── KeyRefused         was not added
├── NotAllowed         this person may not do this
├── ArmingPaused       no key of this person is armed before `until`
├── RotationRefused    a step of the master key's rotation came too early
└── from the exchange (see `accounts.exchange`)
    ├── KeyRejected    the exchange does not know this key, or refuses its signature
    └── ExchangeUnavailable
"""

import datetime
from uuid import UUID


class AccountsError(Exception):
    """Base of all errors of this app."""


class KeyUnusable(AccountsError):
    """`key` is the key's uuid."""

    why = "cannot be used"

    def __init__(self, key: UUID) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"key {self.key} {self.why}"


class KeyRevoked(KeyUnusable):
    why = "is revoked"


class KeyHalted(KeyUnusable):
    """`level` is 1 when only orders are stopped, 2 when all signing is."""

    def __init__(self, key: UUID, level: int) -> None:
        super().__init__(key)
        self.level = level
        self.why = "is halted" if level > 1 else "is halted for orders"


class KeyNotArmed(KeyUnusable):
    why = "is not armed"


class KeyNotReady(KeyUnusable):
    """`state` is the key's state; for a key of another exchange the name of that exchange."""

    def __init__(self, key: UUID, state: str) -> None:
        super().__init__(key)
        self.state = state
        self.why = f"is {state}"


class KeyChanged(KeyUnusable):
    why = "has changed since it was read"


class PermissionMissing(KeyUnusable):
    """`scope` and `access` name what the key lacks, like `orders` and `write`."""

    def __init__(self, key: UUID, scope: str, access: str) -> None:
        super().__init__(key)
        self.scope, self.access = scope, access
        self.why = f"may not {access} {scope}"


class NonceExhausted(KeyUnusable):
    why = "has no nonce left, or another program uses it: make a new one"


class KeyBusy(AccountsError):
    """The key's next slot lies too far ahead: ask again after `wait_us`, in µs."""

    def __init__(self, key: UUID, wait_us: int) -> None:
        super().__init__(f"key {key} is free in {wait_us} µs")
        self.key, self.wait_us = key, wait_us


class SendWindowMissed(AccountsError):
    """The request left its window of time before its first byte; nothing was sent."""

    def __init__(self, late_us: int) -> None:
        super().__init__(f"{late_us} µs late")
        self.late_us = late_us


class SealBroken(AccountsError):
    """`what` names the row, never its content."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the seal of {what} is broken")
        self.what = what


class MasterKeyError(AccountsError):
    """`source` names the file or variable, `problem` what is wrong with it."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.source, self.problem = source, problem


class KeyRefused(AccountsError):
    """`reason` is one of `malformed`, `known`, `withdraw`, `rejected`, `label`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"key refused: {reason} {detail}".rstrip())
        self.reason, self.detail = reason, detail


class NotAllowed(AccountsError):
    """Neither the owner nor someone who may do this for him."""


class ArmingPaused(AccountsError):
    """After a password reset, a recovery code or a reset of factors."""

    def __init__(self, until: datetime.datetime) -> None:
        super().__init__(f"no key is armed before {until:%Y-%m-%d %H:%M} UTC")
        self.until = until


class RotationRefused(AccountsError):
    """The text says what has to happen first."""


class KeyRejected(AccountsError):
    """The exchange's code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


class ExchangeUnavailable(AccountsError):
    """No answer that says anything about the key."""
