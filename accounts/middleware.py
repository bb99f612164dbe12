"""Who gets as far as a view. Closed by default; what is open stands in `settings.PUBLIC_VIEWS`."""

import time
from collections.abc import Callable
from typing import Any, cast

from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.deprecation import MiddlewareMixin

from accounts.models import User
from accounts.stepup import ask, has_factor, is_fresh, may_skip_factor

SEEN_EVERY = 60  # seconds between two notes that a session is in use

# What an account without a second factor may reach beside the public pages.
ENROLMENT = {
    "accounts:confirm",
    "accounts:overview",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "mfa_list_webauthn",
    "mfa_view_recovery_codes",
}
# What open pages ask for by themselves, which does not keep a session in use.
AUTOMATIC = {"accounts:key_states", "market:order_state", "market:order_states"}
# Pages of allauth that change a factor or end sessions: behind our own gate, not allauth's.
FRESH = {
    "account_change_password",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "mfa_deactivate_totp",
    "mfa_edit_webauthn",
    "mfa_generate_recovery_codes",
    "mfa_remove_webauthn",
    "mfa_view_recovery_codes",
    "usersessions_list",
}


def view_name(request: HttpRequest) -> str:
    return request.resolver_match.view_name if request.resolver_match else ""


def is_public(request: HttpRequest) -> bool:
    return view_name(request) in settings.PUBLIC_VIEWS


def is_automatic(request: HttpRequest) -> bool:
    """Whether an open page asks for this, also when nobody looks at it."""
    return view_name(request) in AUTOMATIC


class PrivatePages(MiddlewareMixin):
    """What only one person may see is kept by no cache, and the logout clears what is left."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        name = view_name(request)
        is_own = name and not (name.startswith("market:") and is_public(request))
        if is_own and not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
        if name == "account_logout" and request.method == "POST":
            response["Clear-Site-Data"] = '"cache"'
        return response


class SessionAge(MiddlewareMixin):
    """Ends a session a day after its login, and an hour after its last use."""

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        if is_public(request) or not request.user.is_authenticated:
            return
        now = int(time.time())
        session = request.session
        began, seen = session.setdefault("began", now), session.get("seen", now)
        if (
            now - began >= settings.SESSION_COOKIE_AGE
            or now - seen >= settings.SESSION_IDLE_SECONDS
        ):
            logout(request)
        elif "seen" not in session or (now - seen >= SEEN_EVERY and not is_automatic(request)):
            session["seen"] = now


class DefaultDeny(LoginRequiredMiddleware):
    """Every view asks for a login, whatever its author wrote, unless it is listed as public."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> Any:
        if is_public(request) or request.user.is_authenticated:
            return None
        if request.method not in ("GET", "HEAD"):
            return render(request, "403.html", {"why": "Your session has ended."}, status=403)
        return self.handle_no_permission(request, view_func)


class MfaRequired(MiddlewareMixin):
    """An account without a second factor reaches its enrolment, the logout and public pages."""

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if is_public(request) or view_name(request) in ENROLMENT:
            return None
        user = cast(User, request.user)
        if has_factor(user) or may_skip_factor(user):
            return None
        if request.method not in ("GET", "HEAD"):
            why = "This account has no second factor yet."
            return render(request, "403.html", {"why": why}, status=403)
        return HttpResponseRedirect(reverse("mfa_index"))


class FreshFactor(MiddlewareMixin):
    """The gate of `accounts.stepup` before the pages of allauth that need it."""

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        return ask(request) if view_name(request) in FRESH and not is_fresh(request) else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Before allauth's own answer, which would keep the fields of a POST in the session."""
        return ask(request) if isinstance(error, ReauthenticationRequired) else None
