"""Why an order is not there, or why nobody knows, in words for its owner: what happened, whether
anything was sent, and what to do."""

from accounts.errors import AccountsError, KeyBusy, KeyUnusable
from market.bitfinex.errors import (
    AuthRefused,
    LimiterClosed,
    Maintenance,
    NonceRefused,
    NoSlot,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)

CRASHED = "This server stopped before anything was sent. It is safe to place the order again."
CHECKING = "The reply was lost. Asking Bitfinex whether it has the order."
ABSENT = "Bitfinex does not have this order, and will not get it. It is safe to place it again."
KEY_GONE = (
    "Nobody can ask with this key any more whether Bitfinex has the order. Look at your orders at "
    "Bitfinex."
)


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (
        NoSlot,
        "Not sent: this server's share of requests is used up. Free again in "
        "{error.retry_after:.0f} s.",
    ),
    (
        RateLimited,
        "Not executed: Bitfinex has blocked this server's address for too many requests. Free "
        "again in {error.retry_after:.0f} s.",
    ),
    (
        LimiterClosed,
        "Not sent: this server's database cannot be reached. Try again in a moment.",
    ),
    (Unreachable, "Not sent: Bitfinex cannot be reached from this server."),
    (Maintenance, "Not executed: Bitfinex is in maintenance or restarts."),
    (
        NonceRefused,
        "Not executed: Bitfinex refuses this key's nonces, so another program seems to use the "
        "key. Give every program a key of its own.",
    ),
    (AuthRefused, "Bitfinex does not accept this key: {error.text}."),
    (Rejected, "Bitfinex refused it: {error.text}"),
    (OutcomeUnknown, CHECKING),
    (KeyUnusable, "Not sent: this key {error.why}."),
    (KeyBusy, "Not sent: this key is busy. Try again in a moment."),
    (AccountsError, "Not sent: {error}."),
)
"""The first that fits; `error` is the error."""


def why(error: Exception) -> str:
    """Words for an error of `market.bitfinex.errors` or `accounts.errors`. Raises `LookupError`
    for any other."""
    words = (text for kind, text in _WORDS if isinstance(error, kind))
    text = next(words, None)
    if text is None:
        raise LookupError(type(error).__name__)
    return text.format(error=error)
