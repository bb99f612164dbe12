"""Who may do what, with which key. The user model is our own from the first migration on."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, get_args
from uuid import uuid4

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.crypto import salted_hmac

from accounts.errors import PermissionMissing
from accounts.permissions import Access, Permissions
from accounts.policy import KeyPolicy
from accounts.querysets import ApiKeyQuerySet

QUIET_AFTER = timedelta(seconds=3)  # the last send window of a revoked key, and a margin
FIRST_GAP_US = 50_000
SHARED_AFTER = 3  # refused nonces in a row: someone else uses this key
Act = Literal["read", "cancel", "place", "burn"]  # burn: read, with the largest nonce there is
ACTS: tuple[Act, ...] = get_args(Act)


class User(AbstractUser):
    """An account of this dashboard; never an account at the exchange."""

    auth_epoch = models.PositiveIntegerField(default=0)  # raised: every session of before ends
    is_first = models.BooleanField(default=False)  # made through the one-time set-up link
    no_arming_until = models.DateTimeField(null=True, blank=True)  # after a reset or a recovery

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """As Django's own, which it is compared with on every request, plus the epoch."""
        salt = "accounts.models.User.session"
        known = f"{self.password}|{self.auth_epoch}"
        return salted_hmac(salt, known, secret=secret, algorithm="sha256").hexdigest()


class HaltLevel(models.IntegerChoices):
    NONE = 0, "none"
    ORDERS = 1, "orders"
    SIGNING = 2, "all signing"


class KeyState(models.TextChoices):
    UNVERIFIED = "unverified"  # sealed; the exchange has not answered yet
    USABLE = "usable"
    REFUSED = "refused"  # never usable here; the secret is wiped
    REJECTED = "rejected"  # the exchange no longer knows it
    QUARANTINED = "quarantined"  # its seal is broken, or it came from a backup


OfApiKeys = models.Manager.from_queryset(ApiKeyQuerySet)


class ApiKeyManager(OfApiKeys["ApiKey"]):
    def get_queryset(self) -> ApiKeyQuerySet:
        return ApiKeyQuerySet(self.model, using=self._db).without_seal()


class ApiKey(models.Model):
    """One key of one exchange, and everything that decides whether it signs.

    After the insert a row changes only by conditional updates, never by `save()`: a stale copy
    must not bring back a nonce or a secret. The columns from `last_nonce` on belong to
    `accounts.nonces`; times there are in µs since the epoch.
    """

    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="keys")
    label = models.CharField(max_length=60)
    exchange = models.CharField(max_length=10)  # BFX_EXCHANGE when it was added
    last4 = models.CharField(max_length=4)
    fingerprint = models.CharField(max_length=64, null=True)  # noqa: DJ001  null: may come again
    added_at = models.DateTimeField(auto_now_add=True)
    terms_at = models.DateTimeField(null=True)  # the exchange's API terms were acknowledged

    state = models.CharField(max_length=12, choices=KeyState, default=KeyState.UNVERIFIED)
    scopes = models.JSONField(default=dict)
    scopes_at = models.DateTimeField(null=True)
    policy_text = models.TextField()
    armed_until = models.DateTimeField(null=True)
    halt = models.PositiveSmallIntegerField(choices=HaltLevel, default=HaltLevel.NONE)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    revoked_reason = models.CharField(max_length=200, blank=True)

    generation = models.PositiveIntegerField(default=1)
    kek_version = models.PositiveIntegerField(null=True)
    wrapped_dek = models.BinaryField(null=True)
    sealed_key = models.BinaryField(null=True)
    sealed_secret = models.BinaryField(null=True)

    last_nonce = models.BigIntegerField(default=0)
    send_at = models.BigIntegerField(default=0)
    gap = models.IntegerField(default=FIRST_GAP_US)
    bump = models.PositiveSmallIntegerField(default=0)  # nonces refused in a row
    bumped_at = models.BigIntegerField(default=0)  # the last nonce allotted before the latest one

    objects = ApiKeyManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["exchange", "fingerprint"], name="one_row_a_key"),
            models.CheckConstraint(
                name="revoked_means_wiped",
                condition=models.Q(revoked_at=None)
                | models.Q(wrapped_dek=None, sealed_key=None, sealed_secret=None),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["kek_version", "uuid"], name="rewrap_work")]

    def __str__(self) -> str:
        return f"{self.label} (…{self.last4})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("a key changes only by conditional updates")
        super().save(*args, **kwargs)

    @property
    def policy(self) -> KeyPolicy:
        return KeyPolicy.parse(self.policy_text)

    @property
    def permissions(self) -> Permissions:
        return Permissions(self.scopes)

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None

    @property
    def is_shared(self) -> bool:
        """Whether someone else seems to use this key: our nonces are refused in a row."""
        return self.bump >= SHARED_AFTER

    def is_armed(self, now: datetime) -> bool:
        return self.armed_until is not None and self.armed_until > now

    def is_quiet(self, now: datetime) -> bool:
        """Whether nothing signed before the revocation can still be on its way out."""
        return self.revoked_at is not None and now >= self.revoked_at + QUIET_AFTER

    def require(self, scope: str, access: Access) -> None:
        """Raises `PermissionMissing` unless the exchange lets this key do that."""
        if not self.permissions.allows(scope, access):
            raise PermissionMissing(self.uuid, scope, access)


class Halt(models.Model):
    """A halt in force: of one key, of one user, or (neither) of the site.

    `ApiKey.halt` holds the highest level that covers the key, for the grant looks at that row
    alone. The site's row always exists once written, and is the lock between halts and new keys.
    """

    scope = models.CharField(max_length=50, primary_key=True)  # "site", "user:7", "key:<uuid>"
    owner = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, related_name="+")
    level = models.PositiveSmallIntegerField(choices=HaltLevel, default=HaltLevel.NONE)
    reason = models.CharField(max_length=200, blank=True)
    changed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)


class MasterKeyVersion(models.Model):
    """A version of the master key that this database has seen, and how to tell a wrong one."""

    version = models.PositiveIntegerField(primary_key=True)
    check_value = models.BinaryField()
    active = models.BooleanField(default=False)  # new secrets are wrapped by this one
    emptied_at = models.DateTimeField(null=True)  # since when no row needs it
    retired_at = models.DateTimeField(null=True)


class RootKey(models.Model):
    """The installation's root of derived keys (audit, fingerprints), wrapped as data keys are.

    It does not change with the master key: fingerprints and the audit chain outlive a rotation.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    kek_version = models.PositiveIntegerField()
    wrapped = models.BinaryField()


class RingReport(models.Model):
    """Which versions of the master key a running process has; told every few seconds."""

    process = models.CharField(max_length=100, primary_key=True)
    versions = models.JSONField(default=list)
    seen_at = models.DateTimeField()


class KeyCare(models.Model):
    """When a key is looked after next, and when it was last used; see `accounts.upkeep`."""

    key = models.OneToOneField(
        ApiKey, on_delete=models.CASCADE, primary_key=True, related_name="care"
    )
    due_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField()  # to the day
    seen_nonce = models.BigIntegerField()  # after our own last visit: another one means a use
    failures = models.PositiveSmallIntegerField(default=0)  # visits in a row without an answer


class Epoch(models.Model):
    """How far this database has come; a file beside the master key knows too."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=0)
    advanced_at = models.DateTimeField(null=True)
    restored_at = models.DateTimeField(null=True)  # when it was last found to come from a backup


class AuditHead(models.Model):
    """The end of the chain, locked while an event is added."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    mac = models.CharField(max_length=64, blank=True)


class AuditEvent(models.Model):
    """One thing that was done. Rows are only ever added; see `accounts.audit`."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    tag = models.CharField(max_length=40)
    actor = models.BigIntegerField(null=True)  # user id; none: the host, or the exchange
    subject = models.BigIntegerField(null=True)  # whose things it was about
    key = models.UUIDField(null=True)
    outcome = models.CharField(max_length=10)
    data = models.TextField()  # canonical JSON
    pii = models.CharField(max_length=64, blank=True)  # SHA-256 of what may be erased
    prev = models.CharField(max_length=64, blank=True)
    mac = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["seq"]
        indexes: ClassVar = [models.Index(fields=["subject", "-seq"], name="own_trail")]


class AuditPii(models.Model):
    """What tells a person of an event (address, browser, name). May be erased; the chain holds."""

    seq = models.BigIntegerField(primary_key=True)
    salt = models.CharField(max_length=32)
    data = models.TextField()


class Invitation(models.Model):
    """A link that makes one account. Only the hash of its token is kept."""

    token_hash = models.CharField(max_length=64, primary_key=True)
    is_setup = models.BooleanField(default=False)  # for the first account, which is staff
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    used_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")


class Notice(models.Model):
    """Something about his account that a person should hear of."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    at = models.DateTimeField()
    text = models.CharField(max_length=300)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-at", "-pk"]
        indexes: ClassVar = [models.Index(fields=["user", "-at"], name="own_notices")]
