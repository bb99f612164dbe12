"""The port through which this app asks the exchange about a key.

The setting `KEY_EXCHANGE_BACKEND` names a class (or any callable without arguments) by its dotted
path, as Django's own backends are named.
"""

from dataclasses import dataclass
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.models import ApiKey
from accounts.permissions import Permissions


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancel-all did: how many orders, or in plain words why it is not known."""

    orders: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Burnt:
    """The exchange took the largest nonce there is; or in plain words why that is not known."""

    problem: str = ""


class KeyExchange(Protocol):
    """Each call signs with `accounts.signer`, so it is made outside any transaction."""

    def permissions(self, key: ApiKey) -> Permissions:
        """What the exchange lets this key do. Raises `KeyRejected` when the exchange refuses the
        key itself, `ExchangeUnavailable` for any answer that says nothing about it."""
        raise NotImplementedError

    def cancel_all(self, key: ApiKey) -> Cancelled:
        """Cancels all open orders, within ten seconds; says so instead of raising."""
        raise NotImplementedError

    def burn(self, key: ApiKey) -> Burnt:
        """One read with the largest nonce: by the exchange's rule it takes no other request of
        this key afterwards, from whomever. Says what went wrong instead of raising."""
        raise NotImplementedError


def backend() -> KeyExchange:
    """The implementation that the settings name."""
    return cast(KeyExchange, import_string(settings.KEY_EXCHANGE_BACKEND)())
