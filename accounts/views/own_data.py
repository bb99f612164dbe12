"""The pages of what a person has stored here about himself: address, copy, deletion."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts import addresses, audit, privacy
from accounts.errors import NotAllowed
from accounts.forms import DeleteAccountForm, EmailForm
from accounts.models import ApiKey
from accounts.receivers import seen_of
from accounts.stepup import step_up
from accounts.views.keys import cancelled_words, form_view, person

ONLY_ADMINISTRATOR = (
    "You are the only administrator of this server. Make somebody else one first, under "
    "Administration, People."
)
View = Callable[..., HttpResponse]


def where_mail_is_on(view: View) -> View:
    """Without mail nobody could confirm an address, and it would be of no use."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.EMAIL_ON:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@form_view
@where_mail_is_on
@step_up
def email(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = EmailForm(request.POST or None, initial={"email": user.email})
    if request.method == "POST" and form.is_valid():
        if not ratelimit.consume(request, action="manage_email", user=user):
            return render(request, "429.html", status=429)
        _take(request, form.cleaned_data["email"])
        return redirect("accounts:overview")
    return render(request, "accounts/email.html", {"form": form})


def _take(request: HttpRequest, address: str) -> None:
    user = person(request)
    if not address:
        addresses.change(user=user, address="", pii=seen_of(request))
        messages.success(request, "The address is removed.")
        return
    link = request.build_absolute_uri(reverse("accounts:confirm_email", args=["TOKEN"]))
    if addresses.ask(user=user, address=address, link=link.replace("TOKEN", "{token}")):
        messages.success(request, f"Look for a mail at {address}: it holds a link to open here.")
    else:
        messages.error(request, "No mail could be sent. Nothing is changed; try again later.")


@form_view
@where_mail_is_on
def confirm_email(request: HttpRequest, token: str) -> HttpResponse:
    """Opening the link changes nothing; the button does."""
    address = addresses.find(person(request), token)
    if not address:
        return render(request, "accounts/email_gone.html", status=410)
    if request.method == "POST":
        addresses.change(user=person(request), address=address, pii=seen_of(request))
        messages.success(request, f"The address of your account is now {address}.")
        return redirect("accounts:overview")
    return render(request, "accounts/email_confirm.html", {"address": address})


@require_safe
@step_up
def data(request: HttpRequest) -> HttpResponse:
    """Everything that is stored about oneself, as a file."""
    user = person(request)
    with transaction.atomic():
        found = privacy.personal_data(user)
        audit.record(audit.Tag.DATA_EXPORTED, actor=user, about=user)
    response = JsonResponse(found, json_dumps_params={"indent": 2})
    response["Content-Disposition"] = 'attachment; filename="bfxdash-my-data.json"'
    return response


@form_view
@step_up
def delete(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = DeleteAccountForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            return _deleted(request, cancel_orders=form.cleaned_data["cancel_orders"])
        except NotAllowed:
            form.add_error(None, ONLY_ADMINISTRATOR)
    living = ApiKey.objects.of(user).filter(revoked_at=None)
    return render(request, "accounts/delete.html", {"form": form, "keys": living})


def _deleted(request: HttpRequest, *, cancel_orders: bool) -> HttpResponse:
    named = {key.pk: str(key) for key in ApiKey.objects.of(person(request))}
    done = privacy.delete_account(user=person(request), cancel_orders=cancel_orders)
    request.session.flush()
    request.user = AnonymousUser()
    said = [
        {"key": named[each.key.pk], "words": cancelled_words(each.cancelled)}
        if each.cancelled
        else {"key": named[each.key.pk], "words": ""}
        for each in done
    ]
    response = render(request, "accounts/deleted.html", {"keys": said})
    response["Clear-Site-Data"] = '"cache"'
    return response
