"""The pages of a person's own keys."""

from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit, keys
from accounts.access import own_key
from accounts.errors import (
    AccountsError,
    KeyNotReady,
    KeyRefused,
    KeyRevoked,
    MasterKeyError,
    SealBroken,
)
from accounts.exchange import Burnt, Cancelled
from accounts.forms import HaltForm, KeyForm, PolicyForm, RevokeForm
from accounts.models import ApiKey, Halt, KeyState, User
from accounts.stepup import step_up
from accounts.vault import Secret
from accounts.views.shown import KeyShown, refusal_words

form_view = require_http_methods(["GET", "HEAD", "POST"])
NO_MASTER_KEY = "This server cannot seal a key at the moment: its operator has to look at the log."
NO_MASTER_KEY_TO_OPEN = (
    "Not confirmed: this server cannot open a key at the moment. Its operator has to look at the "
    "log."
)


def person(request: HttpRequest) -> User:
    """Who asks; `accounts.middleware` lets nobody else through."""
    return cast(User, request.user)


def shown(request: HttpRequest, now: datetime) -> list[KeyShown]:
    """Living keys first, each by its label."""
    own = ApiKey.objects.of(person(request)).order_by("label", "added_at")
    return sorted((KeyShown(key, now) for key in own), key=lambda each: not each.is_living)


@require_safe
def key_list(request: HttpRequest) -> HttpResponse:
    halt = Halt.objects.filter(scope=f"user:{person(request).pk}", level__gt=0).first()
    context = {"keys": shown(request, timezone.now()), "halt": halt}
    return render(request, "accounts/keys.html", context)


@require_safe
def key_states(request: HttpRequest) -> JsonResponse:
    """For pages that watch: the state of each own key, by its uuid."""
    found = shown(request, timezone.now())
    states = {str(each.uuid): {"state": each.state, "words": each.words} for each in found}
    return JsonResponse({"keys": states})


@form_view
@step_up
@sensitive_post_parameters("api_key", "api_secret")
def add_key(request: HttpRequest) -> HttpResponse:
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        added = _add(request, form)
        if added:
            return redirect("accounts:key", added.pk)
    context = {"form": form, "sandbox_keys_url": sandbox_keys_url()}
    return render(request, "accounts/key_add.html", context)


@sensitive_variables("found", "api_key", "api_secret")
def _add(request: HttpRequest, form: KeyForm) -> ApiKey | None:
    found = form.cleaned_data
    api_key, api_secret = Secret(found.pop("api_key")), Secret(found.pop("api_secret"))
    try:
        added = keys.add_key(
            user=person(request),
            label=found["label"],
            api_key=api_key,
            api_secret=api_secret,
            terms_acknowledged=True,
        )
    except KeyRefused as error:
        form.add_error("label" if error.reason == "label" else None, words_of(error))
        return None
    except MasterKeyError:
        form.add_error(None, NO_MASTER_KEY)
        return None
    except AccountsError as error:
        form.add_error(None, words_of(error))
        return None
    messages.success(request, f"Key {added} is stored. It only reads until you arm it.")
    return added


@require_safe
def key_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    key = KeyShown(own_key(request, pk), _now())
    is_broken = key.is_locked and audit.seal_was_broken(key.key)
    return render(request, "accounts/key.html", {"key": key, "is_broken": is_broken})


@form_view
@step_up
def confirm_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The button is on the key's page; who comes back from the step-up by a GET is led there."""
    key = own_key(request, pk)
    if request.method == "POST":
        _confirm(request, key)
    return redirect("accounts:key", pk)


def _confirm(request: HttpRequest, key: ApiKey) -> None:
    try:
        confirmed = keys.confirm_key(key=key, by=person(request))
    except AccountsError as error:
        messages.error(request, unconfirmed_words(error))
        return
    if confirmed.state == KeyState.USABLE:
        messages.success(request, "Confirmed. The key only reads until you arm it.")
    else:
        messages.warning(request, "Confirmed, but the exchange could not be asked. Ask it later.")


@require_POST
def check_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Asks the exchange again what the key may do."""
    key = own_key(request, pk)
    try:
        keys.check_key(key=key)
        messages.success(request, "Asked the exchange.")
    except AccountsError as error:
        messages.error(request, words_of(error))
    return redirect("accounts:key", pk)


@form_view
@step_up
def change_policy(request: HttpRequest, pk: UUID) -> HttpResponse:
    key = own_key(request, pk)
    form = PolicyForm(request.POST) if request.method == "POST" else PolicyForm.showing(key.policy)
    if request.method == "POST" and form.is_valid():
        done = _try(form, lambda: keys.set_policy(key=key, by=person(request), policy=form.policy))
        if done:
            messages.success(request, "The policy is changed.")
            return redirect("accounts:key", pk)
    return render(request, "accounts/key_policy.html", {"key": KeyShown(key, _now()), "form": form})


@form_view
@step_up
def arm_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    key = own_key(request, pk)
    if request.method == "POST":
        try:
            keys.arm_key(key=key, by=person(request))
            messages.success(request, "Armed for 12 hours.")
        except AccountsError as error:
            messages.error(request, words_of(error))
        return redirect("accounts:key", pk)
    return render(request, "accounts/key_arm.html", {"key": KeyShown(key, _now())})


@require_POST
def disarm_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    keys.disarm_key(key=own_key(request, pk), by=person(request), reason="by its owner")
    messages.success(request, "Disarmed: the key only reads and cancels.")
    return redirect("accounts:key", pk)


@form_view
def revoke_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """No step-up: who wants to be safe must not wait."""
    key = own_key(request, pk)
    form = RevokeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        done = keys.revoke_key(key=key, by=person(request), **form.cleaned_data)
        messages.success(request, f"Key {key} is revoked. Now delete it at Bitfinex too.")
        if done.cancelled:
            messages.info(request, cancelled_words(done.cancelled))
        if done.burnt:
            messages.info(request, burnt_words(done.burnt))
        return redirect("accounts:key", pk)
    return render(request, "accounts/key_revoke.html", {"key": KeyShown(key, _now()), "form": form})


@form_view
def halt_keys(request: HttpRequest) -> HttpResponse:
    """Stops all own keys at once, or releases them. No step-up."""
    user = person(request)
    form = HaltForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        done = _try(form, lambda: keys.halt_keys(by=user, owner=user, **form.cleaned_data))
        if done:
            messages.success(request, f"Halt of your keys: {form.cleaned_data['level'].label}.")
            return HttpResponseRedirect(_list_url())
    return render(request, "accounts/halt.html", {"form": form})


@require_safe
def guide(request: HttpRequest) -> HttpResponse:
    context = {"addresses": settings.BFX_SERVER_ADDRESSES, "sandbox_keys_url": sandbox_keys_url()}
    return render(request, "accounts/guide.html", context)


@require_safe
def leaked(request: HttpRequest) -> HttpResponse:
    living = [each for each in shown(request, _now()) if each.is_living]
    return render(request, "accounts/leaked.html", {"keys": living})


def words_of(error: AccountsError) -> str:
    if isinstance(error, KeyRefused):
        return refusal_words(error.reason, error.detail)
    return f"Not done: {error}."


def unconfirmed_words(error: AccountsError) -> str:
    """Why a key of a restored database is not in use again, and what to do."""
    match error:
        case KeyRevoked():
            return "Not confirmed: this key is revoked. Add a new one."
        case KeyNotReady():
            return "Nothing to confirm: this key does not wait for its owner."
        case KeyRefused():
            return f"{words_of(error)} Its secret is wiped here."
        case SealBroken():
            return (
                "Not confirmed: what is stored is not what was sealed. Revoke this key, delete it "
                "at Bitfinex and add a new one."
            )
        case MasterKeyError():
            return NO_MASTER_KEY_TO_OPEN
    return words_of(error)


def cancelled_words(done: Cancelled) -> str:
    if done.orders is None:
        return f"Its open orders may still stand: {done.problem}. Look at Bitfinex."
    return f"Open orders cancelled before: {done.orders}."


def burnt_words(done: Burnt) -> str:
    if done.problem:
        return f"Its nonces may not be burnt: {done.problem}. Delete the key at Bitfinex now."
    return "Its nonces are burnt: by its rule the exchange takes nothing of this key any more."


def sandbox_keys_url() -> str:
    """Where the sandbox exchange issues keys; empty with the real one."""
    if settings.BFX_EXCHANGE != "sandbox":
        return ""
    parts = urlsplit(settings.BFX_REST_URL)
    return f"{parts.scheme}://{parts.netloc}/keys"


def _try(form: Any, act: Any) -> bool:
    """Does it, or says on the form why not."""
    try:
        act()
    except AccountsError as error:
        form.add_error(None, words_of(error))
        return False
    return True


def _now() -> datetime:
    return timezone.now()


def _list_url() -> str:
    return redirect("accounts:keys").url
