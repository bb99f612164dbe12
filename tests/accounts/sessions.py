"""Browsers of people for tests: logged in, with or without a factor, with a proof of some age."""

import base64
import hmac
import struct
import time

from allauth.account.internal.flows.login import (
    _AUTHENTICATION_METHODS_USER_SESSION_KEY,
    AUTHENTICATION_METHODS_SESSION_KEY,
)
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.usersessions.models import UserSession
from django.test import Client
from django.utils import timezone

from accounts.models import User

PASSWORD = "tests-only-pass-phrase"
STEP = 30  # seconds
CODE_SECONDS = 5


def give_factor(user: User) -> str:
    """A second factor and recovery codes; returns the seed of its codes."""
    seed: str = generate_totp_secret()
    TOTP.activate(user, seed)
    RecoveryCodes.activate(user)
    return seed


def code_of(seed: str, at: float | None = None) -> str:
    """The code an app would show: RFC 6238, made independently of what checks it.

    Now, or of the next half minute when this one is nearly over: the site takes no code of a
    half minute that has ended, and a busy machine brings it late.
    """
    if at is None:
        left = STEP - time.time() % STEP
        time.sleep(left + 0.1 if left < CODE_SECONDS else 0)
    step = int(time.time() if at is None else at) // STEP
    mac = hmac.digest(base64.b32decode(seed), struct.pack(">Q", step), "sha1")
    place = mac[-1] & 15
    number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def browser_of(
    user: User | None,
    *,
    proof: str | None = None,
    age: float = 0,
    factor_used: bool = True,
    csrf: bool = False,
) -> Client:
    """A client with this person's session. `proof` is `mfa` or `password`, `age` in seconds."""
    client = Client(enforce_csrf_checks=csrf)
    if user is None:
        return client
    client.force_login(user)
    session = client.session
    now = time.time()
    records = [{"method": "password", "at": now - age}]
    if factor_used:
        records.append({"method": "mfa", "at": now - age, "type": "totp"})
    if proof:
        records.append({"method": proof, "at": now - age, "reauthenticated": True})
    session[AUTHENTICATION_METHODS_SESSION_KEY] = records
    session[_AUTHENTICATION_METHODS_USER_SESSION_KEY] = str(user.pk)
    session["began"] = session["seen"] = int(timezone.now().timestamp())
    session.save()
    UserSession.objects.create(
        user=user, session_key=session.session_key, ip="127.0.0.1", user_agent="tests"
    )
    return client


def session_key_of(client: Client) -> str:
    found = client.session.session_key
    assert found
    return found


def key_fields(**changes: object) -> dict[str, object]:
    """What somebody types to add a key."""
    from tests.accounts import fakes

    texts = {"api_key": fakes.new_text(), "api_secret": fakes.new_text()}
    return {"label": "main", **texts, "terms": "on", **changes}
