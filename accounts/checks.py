"""A master key that is missing, weak, wrong or readable by others stops the start in live mode."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from accounts import key_versions, master_key
from accounts.errors import MasterKeyError

STAND_INS = (
    "MFA_TOTP_INSECURE_BYPASS_CODE",
    "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN",
    "MFA_TRUST_ENABLED",
)
ALONE = ("LocMemCache", "DummyCache", "FileBasedCache")


@register(Tags.security)
def check_master_key(**kwargs: Any) -> list[CheckMessage]:
    """Looks at the file or variable. A sandbox may start without: it makes one at the first use."""
    if settings.BFX_EXCHANGE == "sandbox" and master_key.may_be_made():
        return []
    try:
        master_key.ring()
    except MasterKeyError as error:
        hint = "A file of mode 600, in it one line: v1: and the base64 of 32 random bytes."
        return [Error(f"Master key: {error}", hint=hint, id="accounts.E001")]
    if settings.BFX_MASTER_KEY:
        problem = "BFX_MASTER_KEY: other processes of this user can read a variable"
        return [Warning(problem, hint="Use BFX_MASTER_KEY_FILE.", id="accounts.W001")]
    return []


@register(Tags.security)
def check_sign_in(**kwargs: Any) -> list[CheckMessage]:
    """A code of a second factor works once only if every process sees the mark of its use; and
    nothing may stand in for it."""
    problems = []
    if settings.CACHES["default"]["BACKEND"].endswith(ALONE):
        problems.append("CACHES: another process would take the code of a second factor again")
    if settings.SESSION_ENGINE.endswith("signed_cookies"):
        problems.append("SESSION_ENGINE: a session in a cookie cannot be ended")
    set_here = [name for name in STAND_INS if getattr(settings, name, None)]
    problems += [f"{name}: lets in without a second factor" for name in set_here]
    return [Error(problem, id="accounts.E003") for problem in problems]


@register(Tags.database)
def check_master_key_fits(databases: Sequence[str] | None, **kwargs: Any) -> list[CheckMessage]:
    """Looks whether the key is the one that the database was sealed with."""
    if not databases:
        return []
    try:
        problems = key_versions.problems()
    except DatabaseError:  # before the first migration there is nothing to open
        return []
    except MasterKeyError as error:
        problems = [str(error)]
    return [Error(f"Master key: {problem}", id="accounts.E002") for problem in problems]
