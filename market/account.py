"""What a user's account at the exchange holds and did, as the exchange says now.

Each use case takes the user who asks and one of his keys, sends one signed read, and gives what
`market.bitfinex.account` makes of the answer. Raises `accounts.errors.NotAllowed` for somebody
else's key, `PermissionMissing` when the exchange gave the key no scope for it, another
`KeyUnusable` when the key signs nothing, and one of `market.bitfinex.errors`. Not to be called in a
transaction.
"""

from typing import TypeVar

from accounts.errors import NotAllowed
from accounts.models import ApiKey, User
from market.bitfinex import account
from market.bitfinex.account import (
    FIRST_ROWS,
    LedgerEntry,
    MarginBase,
    MarginSymbol,
    Order,
    OwnTrade,
    Permission,
    Position,
    UserInfo,
    Wallet,
)
from market.bitfinex.rest import Request
from market.client import client

T = TypeVar("T")

PATIENCE = 8.0
"""Seconds to wait for a slot: somebody looks at the page."""

_HISTORY = ("orders", "history")
"""The docs do not say which of the two scopes opens orders and trades of the past: either does."""


def wallets(*, user: User, key: ApiKey) -> list[Wallet]:
    return _read(account.wallets(), user, key, "wallets")


def open_orders(*, user: User, key: ApiKey, symbol: str = "") -> list[Order]:
    """Orders that may still trade: of one pair, or all."""
    return _read(account.open_orders(symbol), user, key, *_HISTORY)


def order_history(
    *,
    user: User,
    key: ApiKey,
    symbol: str = "",
    start: int | None = None,
    end: int | None = None,
    limit: int = FIRST_ROWS,
) -> list[Order]:
    """Orders that have ended, newest first; `start` and `end` in ms since epoch."""
    request = account.orders_hist(symbol, start=start, end=end, limit=limit)
    return _read(request, user, key, *_HISTORY)


def order_trades(*, user: User, key: ApiKey, symbol: str, order_id: int) -> list[OwnTrade]:
    """What one order traded."""
    return _read(account.order_trades(symbol, order_id), user, key, *_HISTORY)


def trades(
    *,
    user: User,
    key: ApiKey,
    symbol: str = "",
    start: int | None = None,
    end: int | None = None,
    limit: int = FIRST_ROWS,
) -> list[OwnTrade]:
    """Own trades, newest first; `start` and `end` in ms since epoch."""
    request = account.trades_hist(symbol, start=start, end=end, limit=limit)
    return _read(request, user, key, *_HISTORY)


def positions(*, user: User, key: ApiKey) -> list[Position]:
    return _read(account.positions(), user, key, "positions")


def margin_info(*, user: User, key: ApiKey) -> MarginBase:
    """What all margin positions rest on."""
    return _read(account.margin_base(), user, key, "positions", "wallets")


def pair_margin(*, user: User, key: ApiKey, symbol: str) -> MarginSymbol:
    """What may still be traded in one pair on margin."""
    return _read(account.margin_symbol(symbol), user, key, "positions", "wallets")


def user_info(*, user: User, key: ApiKey) -> UserInfo:
    return _read(account.user_info(), user, key, "account")


def key_permissions(*, user: User, key: ApiKey) -> list[Permission]:
    """What the exchange lets the key do now; `ApiKey.scopes` is what it said last time."""
    return _read(account.permissions(), user, key)


def ledgers(  # noqa: PLR0913  what the exchange can be asked for
    *,
    user: User,
    key: ApiKey,
    currency: str = "",
    category: int | None = None,
    start: int | None = None,
    end: int | None = None,
    limit: int = FIRST_ROWS,
) -> list[LedgerEntry]:
    """Changes of the wallets, newest first; `start` and `end` in ms since epoch."""
    request = account.ledgers(currency, category=category, start=start, end=end, limit=limit)
    return _read(request, user, key, "history", "wallets")


def _read(request: Request[T], user: User, key: ApiKey, *scopes: str) -> T:
    """One of the scopes opens it; with none, any key does."""
    if key.owner_id != user.pk:
        raise NotAllowed
    if scopes and not any(key.permissions.allows(scope, "read") for scope in scopes):
        key.require(scopes[0], "read")
    return client().call(request, key, lane="read", deadline=PATIENCE)
