"""A fresh proof that it is really the person: a second factor, not older than five minutes.

Asked for before a key is added, confirmed, armed or given a wider policy, before an export and a
change of factors; never before a revocation or a halt, which must be fast. The gate stands before
the form. A POST that comes too late is refused and its fields are lost: they may hold a secret,
and what allauth would keep of them lies readable in the session.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import get_adapter as factors
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import User

View = Callable[..., HttpResponse]


def has_factor(user: User) -> bool:
    """Whether this account has a second factor; recovery codes alone are none."""
    return bool(factors().is_mfa_enabled(user, ["totp", "webauthn"]))


def may_skip_factor(user: User) -> bool:
    """In sandbox mode there is no money to lose: the first account may do without."""
    return user.is_first and settings.BFX_EXCHANGE == "sandbox"


def is_fresh(request: HttpRequest, *, now: float | None = None) -> bool:
    """Whether the person has proved himself anew within the last five minutes.

    With the second factor if the account has one; only an account without one by its password.
    """
    user = cast(User, request.user)
    now = now or time.time()
    method = "mfa" if has_factor(user) else "password"
    ages = [
        now - record["at"]
        for record in get_authentication_records(request, user)
        if record.get("method") == method and record.get("reauthenticated")
    ]
    return any(0 <= age < settings.STEP_UP_SECONDS for age in ages)


def used_factor(request: HttpRequest) -> bool:
    """Whether this session has shown a second factor at all."""
    records = get_authentication_records(request, cast(User, request.user))
    return any(record.get("method") == "mfa" for record in records)


def ask(request: HttpRequest) -> HttpResponse:
    """To the page that asks for the proof; a POST gets 403 and loses its fields."""
    where = f"{reverse('accounts:confirm')}?{urlencode({'next': request.path})}"
    if request.method in ("GET", "HEAD"):
        return HttpResponseRedirect(where)
    return render(request, "accounts/confirm_again.html", {"confirm_url": where}, status=403)


def step_up(view: View) -> View:
    """Decorates a view of a person who is logged in."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return view(request, *args, **kwargs) if is_fresh(request) else ask(request)

    return guarded
