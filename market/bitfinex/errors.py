"""What a call to the exchange can end in. The branches answer the one question that matters for an
order: was it executed?

ExchangeError
├── NotExecuted                 proven: nothing happened at the exchange
│   ├── RateLimited             the exchange counts too many requests from our address
│   │   └── NoSlot              our own limiter let nothing leave: the budget is used up, or blocked
│   ├── LimiterClosed           the budgets cannot be read, so nothing leaves
│   ├── Unreachable             no connection: not a byte of the request left
│   ├── Maintenance             the exchange pauses everything
│   └── Rejected                the exchange answered with an error code
│       ├── NonceRefused        the nonce is not above the last one of this key
│       └── AuthRefused         unknown key, or a signature or permission it does not accept
└── OutcomeUnknown              a write may have been executed; never send it again blindly
    ├── NoReply                 sent, but the reply is lost, cut off or too slow
    ├── Unavailable             a gateway answered for the exchange
    └── Unreadable              an answer that is not the exchange's language

Exceptions carry data. Texts for people are made where they are shown; `str()` is for logs, and
holds neither addresses nor queries.
"""

import re
from typing import Any

import msgspec

RATE_LIMIT_PAUSE = 60.0
"""Seconds an address stays blocked (Bitfinex docs, "Requirements and limitations")."""

_RATE_LIMIT = re.compile(r"ERR_RATE_LIMIT|ERR_LIMIT|rate ?limit", re.IGNORECASE)
_RESULT = re.compile(rb'\s*\[(?!\s*"error")')
_RATE_LIMIT_CODE = 11010
_NONCE_CODE = 10114
_AUTH_CODES = frozenset({10100, 10111, 10112, 10113, 10200})
_MAINTENANCE_CODES = frozenset({11000, 20051, 20060})
_GATEWAY = frozenset({502, 503, 504})  # whatever it says, the exchange has not said it
_EXCERPT = 200
_SEARCHED = 4096


class ExchangeError(Exception):
    """A call to the exchange that gave no result."""


class NotExecuted(ExchangeError):
    """Nothing happened at the exchange."""


class RateLimited(NotExecuted):
    """Nothing may leave before `retry_after` seconds have passed."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"rate limited, free in {self.retry_after:.1f} s"


class NoSlot(RateLimited):
    """The budget of `scope` has no place before the caller's deadline."""

    def __init__(self, scope: str, retry_after: float) -> None:
        super().__init__(retry_after)
        self.args = (scope, retry_after)
        self.scope = scope

    def __str__(self) -> str:
        return f"no request left for {self.scope}, free in {self.retry_after:.1f} s"


class LimiterClosed(NotExecuted):
    """The budgets cannot be read or written; `reason` is a word for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"request budgets out of reach ({self.reason})"


class Unreachable(NotExecuted):
    """No connection was made; `reason` is a word for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot reach the exchange ({self.reason})"


class _Coded(NotExecuted):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Maintenance(_Coded):
    """The exchange is in maintenance or restarts (11000, 20051, 20060)."""


class Rejected(_Coded):
    """The exchange's own words. Rely on `code`; "texts may change" (Bitfinex docs)."""


class NonceRefused(Rejected):
    """10114. The only refusal that may be tried again at once, with a new nonce."""


class AuthRefused(Rejected):
    """10100, 10111-10113, 10200: no use in trying again with the same key."""


class OutcomeUnknown(ExchangeError):
    """The request left; whether it was executed must be asked."""


class NoReply(OutcomeUnknown):
    """Sent, and no whole reply came; `reason` is a word for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"no whole reply ({self.reason})"


class Unreadable(OutcomeUnknown):
    """HTTP `status` with a body that cannot be understood; `excerpt` is its start, escaped."""

    def __init__(self, status: int, excerpt: str) -> None:
        super().__init__(status, excerpt)
        self.status = status
        self.excerpt = excerpt

    def __str__(self) -> str:
        return f"HTTP {self.status} with an unreadable body: {self.excerpt}"


class Unavailable(Unreadable):
    """A gateway says that the exchange is away (HTTP 502-504, or an object with such a code)."""


def refusal(status: int, body: bytes) -> ExchangeError | None:
    """The error that this answer is, or None when it looks like a result.

    The exchange sends its coded errors with HTTP 500, and its limits in several forms.
    """
    if status == 429:
        return RateLimited(RATE_LIMIT_PAUSE)
    if status == 200 and _RESULT.match(body):
        return None
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _foreign(status, body)
    match answer:
        case ["error", int(code), *rest]:
            return coded(code, rest[0] if rest and isinstance(rest[0], str) else "")
        case dict():
            return _object(status, answer, body)
        case _:
            return _foreign(status, body)


def coded(code: int, text: str) -> NotExecuted:
    """The error that the exchange means by this code."""
    if code == _RATE_LIMIT_CODE or _RATE_LIMIT.search(text):
        return RateLimited(RATE_LIMIT_PAUSE)
    if code == _NONCE_CODE:
        return NonceRefused(code, text)
    if code in _AUTH_CODES:
        return AuthRefused(code, text)
    if code in _MAINTENANCE_CODES:
        return Maintenance(code, text)
    return Rejected(code, text)


def unreadable(status: int, body: bytes) -> Unreadable:
    """The answer as far as it can be told: at most 200 characters, nothing a terminal obeys."""
    text = body[:_EXCERPT].decode("utf-8", "replace")
    kind = Unavailable if status in _GATEWAY else Unreadable
    return kind(status, text.encode("unicode_escape").decode("ascii")[:_EXCERPT])


def _object(status: int, answer: dict[str, Any], body: bytes) -> ExchangeError:
    """`{"error": "ERR_RATE_LIMIT"}`, `{"message": "Ratelimit"}`, `{"code": 503, "error": …}`."""
    words = f"{answer.get('error')} {answer.get('message')}"
    if _RATE_LIMIT.search(words):
        return RateLimited(RATE_LIMIT_PAUSE)
    code = answer.get("code")
    return unreadable(code if isinstance(code, int) and code in _GATEWAY else status, body)


def _foreign(status: int, body: bytes) -> ExchangeError:
    """HTML of a gateway, plain text, half an answer, or nothing."""
    if (
        status >= 400
        and status not in _GATEWAY
        and _RATE_LIMIT.search(body[:_SEARCHED].decode("utf-8", "replace"))
    ):
        return RateLimited(RATE_LIMIT_PAUSE)
    return unreadable(status, body)
