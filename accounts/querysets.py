"""Which rows a person or a process may see."""

from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db.models import QuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from accounts.models import ApiKey, User  # noqa: F401  named in the base class

SEALED = ("wrapped_dek", "sealed_key", "sealed_secret")


class ApiKeyQuerySet(QuerySet["ApiKey"]):
    def of(self, user: "User | AnonymousUser") -> Self:
        """Only this user's own keys, whoever he is: staff see no more here."""
        return self.filter(owner_id=user.pk) if user.is_authenticated else self.none()

    def here(self) -> Self:
        """Keys of the exchange this installation talks to."""
        return self.filter(exchange=settings.BFX_EXCHANGE)

    def usable(self) -> Self:
        """Confirmed by the exchange we talk to, and not revoked since."""
        return self.here().filter(state="usable", revoked_at=None)

    def without_seal(self) -> Self:
        """The default: whoever lists keys does not carry their sealed text around."""
        return self.defer(*SEALED)

    def with_seal(self) -> Self:
        return self.defer(None)
