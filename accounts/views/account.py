"""The pages of a person's own account: invitation, proof, notices, trail."""

import io
from typing import Any, Literal

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.core import ratelimit
from allauth.mfa.adapter import get_adapter as factors
from allauth.mfa.base.forms import ReauthenticateForm
from allauth.mfa.webauthn.forms import ReauthenticateWebAuthnForm
from allauth.mfa.webauthn.internal.auth import begin_authentication
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import audit, invitations, notices, people
from accounts.forms import AccountForm, PasswordProofForm
from accounts.models import AuditEvent, User
from accounts.receivers import seen_of
from accounts.stepup import has_factor, may_skip_factor, step_up
from accounts.views.keys import person

LAST_EVENTS = 200
LAST_NOTICES = 20


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    user = person(request)
    older = list(user.notices.exclude(seen_at=None)[:LAST_NOTICES])
    context = {
        "unseen": notices.take_unseen(user),
        "older": older,
        "has_factor": has_factor(user),
        "may_skip": may_skip_factor(user),
        "sessions": UserSession.objects.filter(user=user).count(),
        "mail_on": settings.EMAIL_ON,
    }
    return render(request, "accounts/overview.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("password1", "password2")
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """An account through a single-use link. Opening the link uses nothing up."""
    found = invitations.find(token)
    if found is None or request.user.is_authenticated:
        return render(request, "accounts/invitation_gone.html", status=410 if not found else 403)
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not ratelimit.consume(request, action="signup"):
            return render(request, "429.html", status=429)
        made = _accept(request, token, form)
        return redirect("mfa_index" if made else request.path)
    return render(request, "accounts/invitation.html", {"form": form, "first": found.is_setup})


def _accept(request: HttpRequest, token: str, form: AccountForm) -> User | None:
    found = form.cleaned_data
    user = invitations.accept(
        token=token,
        username=found["username"],
        email=found["email"],
        password=found["password1"],
        pii=seen_of(request),
    )
    if user:
        get_adapter().login(request, user)
        UserSession.objects.create_from_request(request)
        record_authentication(request, user, "password", reauthenticated=True)
    return user


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("password", "code")
def confirm(request: HttpRequest) -> HttpResponse:
    """Asks for a fresh proof: the second factor, or the password of an account without one."""
    user, target = person(request), next_page(request)
    factor = has_factor(user)
    form, passkey = _proof_forms(request, user, factor)
    for sent in (form, passkey):
        if sent and sent.is_bound and sent.is_valid():
            sent.save() if factor else reauthenticate_by_password(request)
            people.renew_session(request)
            with transaction.atomic():
                audit.record(audit.Tag.PROVED, actor=user, about=user, pii=seen_of(request))
            return HttpResponseRedirect(target)
    context: dict[str, Any] = {"form": form, "passkey": passkey, "factor": factor, "next": target}
    if factor and factors().is_mfa_enabled(user, ["webauthn"]):
        context["options"] = begin_authentication(user)
    return render(request, "accounts/confirm.html", context)


def _proof_forms(request: HttpRequest, user: User, factor: bool) -> tuple[Any, Any]:
    data = request.POST if request.method == "POST" else None
    if not factor:
        return PasswordProofForm(data, user=user), None
    by_passkey = data is not None and "credential" in data
    form = ReauthenticateForm(None if by_passkey else data, user=user)
    return form, ReauthenticateWebAuthnForm(data if by_passkey else None, user=user)


def next_page(request: HttpRequest) -> str:
    """Where to go on to: only within this site, whatever the link says."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(wanted, None, require_https=request.is_secure())
    return wanted if is_ours and wanted.startswith("/") else reverse("accounts:keys")


@require_safe
def trail(request: HttpRequest) -> HttpResponse:
    """What was done in one's own name, or with one's own things; the newest first."""
    events = _own_events(person(request)).order_by("-seq")[:LAST_EVENTS]
    names = dict(User.objects.filter(is_staff=True).values_list("pk", "username"))
    context = {"events": events, "names": names, "limit": LAST_EVENTS}
    return render(request, "accounts/trail.html", context)


@require_safe
@step_up
def export(request: HttpRequest, form: Literal["csv", "jsonl"]) -> HttpResponse:
    """One's own trail as a file."""
    user, out = person(request), io.StringIO(newline="")
    with transaction.atomic():
        count = audit.export(_own_events(user).iterator(audit.CHUNK), out, form)
        audit.record(audit.Tag.EXPORTED, actor=user, about=user, data={"events": count})
    kind = {"csv": "text/csv", "jsonl": "application/jsonl"}[form]
    response = HttpResponse(out.getvalue(), content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="bfxdash-trail.{form}"'
    return response


def _own_events(user: User) -> Any:
    return AuditEvent.objects.filter(subject=user.pk)
