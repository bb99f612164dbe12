"""What the exchange lets a key do (Bitfinex docs, rest-auth-key-permissions)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

Access = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Permissions:
    """Scope → accesses: `{"orders": ["read", "write"]}`, as stored with the key."""

    scopes: Mapping[str, list[Access]] = field(default_factory=dict)

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, int, int]]) -> Self:
        """From `[scope, read, write]` as the exchange sends them."""
        pairs: dict[str, list[Access]] = {}
        for scope, read, write in rows:
            may_read: list[Access] = ["read"] if read else []
            may_write: list[Access] = ["write"] if write else []
            pairs[scope] = may_read + may_write
        return cls(pairs)

    def allows(self, scope: str, access: Access) -> bool:
        return access in self.scopes.get(scope, ())

    @property
    def withdraws(self) -> bool:
        """Whether money could leave the exchange: any access to any scope of withdrawals."""
        return any(access for scope, access in self.scopes.items() if "withdraw" in scope)
