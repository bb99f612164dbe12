"""The account endpoints: which names their rates go by, and which permissions they need.

Scopes are those of docs.bitfinex.com (rest-auth-key-permissions). Which scope an endpoint wants is
documented for few; where it is not, any of the plausible ones opens it.
"""

from typing import Literal, NamedTuple

from market.sandbox.wire import Denied

Act = Literal["read", "write"]
Permissions = dict[str, list[Act]]

SCOPES = ("account", "history", "orders", "positions", "funding", "settings", "wallets", "withdraw",
          "ui_withdraw", "bfxpay")  # fmt: skip
"""In the order of `auth/r/permissions`."""


class Need(NamedTuple):
    """One of these scopes opens an endpoint; no scope at all: any key does."""

    act: Act
    scopes: tuple[str, ...] = ()


_HISTORY = ("history", "orders")

CALLS = {
    "auth/r/permissions": Need("read"),
    "auth/r/info/user": Need("read", ("account",)),
    "auth/r/summary": Need("read", ("account",)),
    "auth/r/logins": Need("read", ("account",)),
    "auth/r/wallets": Need("read", ("wallets",)),
    "auth/r/orders": Need("read", _HISTORY),
    "auth/r/order": Need("read", _HISTORY),
    "auth/r/trades": Need("read", _HISTORY),
    "auth/r/ledgers": Need("read", ("history", "wallets")),
    "auth/r/movements": Need("read", ("history", "wallets")),
    "auth/r/positions": Need("read", ("positions",)),
    "auth/r/info/margin": Need("read", ("positions", "wallets")),
    "auth/calc/order/avail": Need("read", ("orders", "wallets")),
    "auth/w/order/submit": Need("write", ("orders",)),
    "auth/w/order/update": Need("write", ("orders",)),
    "auth/w/order/cancel": Need("write", ("orders",)),
    "auth/w/order/cancel/multi": Need("write", ("orders",)),
    "auth/w/order/multi": Need("write", ("orders",)),
    "auth/w/transfer": Need("write", ("wallets",)),
}
"""By endpoint: the path up to what varies. All paths below one draw on one rate."""


def endpoint(path: str) -> str | None:
    """The endpoint of a path without `/v2/` (`auth/r/orders/tBTCUSD/hist` → `auth/r/orders`)."""
    name = path
    while name not in CALLS:
        name, slash, _ = name.rpartition("/")
        if not slash:
            return None
    return name


def permit(permissions: Permissions, need: Need) -> None:
    """Raises Denied when none of the scopes is given."""
    if need.scopes and not any(need.act in permissions.get(scope, ()) for scope in need.scopes):
        raise Denied(10001, "api_key: permission invalid")


def caps(permissions: Permissions) -> dict[str, dict[str, int]]:
    """As the auth event says them: `{"orders": {"read": 1, "write": 0}, …}`."""
    return {
        scope: {"read": int("read" in acts), "write": int("write" in acts)}
        for scope in SCOPES
        for acts in (permissions.get(scope, ()),)
    }


def read_permissions(given: object) -> Permissions:
    """Permissions from a client's JSON. Raises ValueError, naming what is wrong."""
    if not isinstance(given, dict):
        raise ValueError("permissions: an object of scope → [read, write]")
    for scope, acts in given.items():
        if scope not in SCOPES:
            raise ValueError(f"permissions: no scope {scope!r}")
        if not isinstance(acts, list) or not set(acts) <= {"read", "write"}:
            raise ValueError(f"permissions: {scope} is a list of 'read' and 'write'")
    return {scope: list(given[scope]) for scope in SCOPES if given.get(scope)}
