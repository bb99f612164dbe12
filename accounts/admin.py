"""The panel of staff: they see who has which key, revoke and halt. They read and add nothing.

An own site, because Django's lets staff in without a second factor. Its only addresses are lists
and the forms that ask for a reason; there is no page of a single key, so no field of one.
"""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from accounts import invitations, keys, people
from accounts.errors import AccountsError
from accounts.forms import HaltForm, ReasonForm
from accounts.models import ApiKey, Halt, HaltLevel, User
from accounts.stepup import ask, is_fresh, may_skip_factor, used_factor
from accounts.views.shown import KeyShown

Act = Callable[..., str]


class Panel(admin.AdminSite):
    site_title = site_header = "bfxdash administration"
    index_title = "Administration"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Active staff in a session that has shown its second factor."""
        user = cast(User, request.user)
        if not (user.is_active and user.is_staff):
            return False
        return used_factor(request) or may_skip_factor(user)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            user = cast(User, request.user)
            if not user.is_staff:
                return render(request, "404.html", status=404)
            if not self.has_permission(request):
                return ask(request)
            return cast(HttpResponse, view(request, *args, **kwargs))

        return never_cache(csrf_protect(guarded))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Without the login, password and catch-all pages of Django's own."""
        urls: list[URLPattern | URLResolver] = [
            path("", self.admin_view(self.index), name="index"),
            path("halt/", self.admin_view(self.halt), name="halt"),
            path("invite/", self.admin_view(self.invite), name="invite"),
        ]
        for model, model_admin in self._registry.items():
            name = model._meta.model_name
            view = self.admin_view(model_admin.changelist_view)
            urls.append(path(f"{name}s/", view, name=f"accounts_{name}_changelist"))
        return urls

    @property
    def urls(self) -> tuple[list[URLPattern | URLResolver], str, str]:
        return self.get_urls(), "admin", self.name

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Nothing of Django's list of apps, whose addresses there are none of."""
        return {"site_header": self.site_header}

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        halts = Halt.objects.filter(level__gt=0).select_related("owner", "key", "changed_by")
        context = {**self.each_context(request), "title": self.index_title, "halts": halts}
        return TemplateResponse(request, "admin/index.html", context)

    def halt(self, request: HttpRequest) -> HttpResponse:
        """A stop of the whole site, or its release."""
        form = HaltForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            user = cast(User, request.user)
            count = keys.halt_keys(by=user, **form.cleaned_data)
            label = form.cleaned_data["level"].label
            messages.success(request, f"Halt of the site: {label}. It covers {count} keys.")
            return redirect("admin:index")
        context = {**self.each_context(request), "title": "Halt the site", "form": form}
        return TemplateResponse(request, "admin/halt.html", context)

    def invite(self, request: HttpRequest) -> HttpResponse:
        """Makes a link on POST; it is shown once."""
        link = ""
        if request.method == "POST":
            token = invitations.invite(by=cast(User, request.user))
            link = request.build_absolute_uri(reverse("accounts:invitation", args=[token]))
        context = {**self.each_context(request), "title": "Invite", "link": link}
        return TemplateResponse(request, "admin/invite.html", context)


panel = Panel(name="admin")


class ListOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # no generic when it runs
    """A list with actions: nothing is added, changed or deleted through it."""

    actions_on_top, actions_selection_counter = True, False
    list_display_links = None
    show_full_result_count = False
    list_per_page = 100

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return panel.has_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return panel.has_permission(request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def ask_reason(
        self,
        request: HttpRequest,
        chosen: QuerySet[Any],
        title: str,
        act: Act,
        form_class: type[ReasonForm] = ReasonForm,
    ) -> HttpResponse | None:
        """First the form that asks for a reason, then the act on each, then what became of it."""
        confirmed = "confirmed" in request.POST
        form = form_class(request.POST if confirmed else None)
        if not confirmed or not form.is_valid():
            context = {
                **panel.each_context(request),
                "title": title,
                "form": form,
                "chosen": list(chosen),
                "chosen_pks": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
                "action": request.POST["action"],
                "checkbox": helpers.ACTION_CHECKBOX_NAME,
                "opts": self.model._meta,
            }
            return TemplateResponse(request, "admin/reason.html", context)
        for each in chosen:
            self.report(request, each, act, form.cleaned_data)
        return HttpResponseRedirect(request.get_full_path())

    def report(self, request: HttpRequest, each: Any, act: Act, given: dict[str, Any]) -> None:
        try:
            messages.success(request, act(each, **given))
        except AccountsError as error:
            messages.error(request, f"{each}: {error}")


@admin.register(ApiKey, site=panel)
class ApiKeyAdmin(ListOnly):
    list_display = ("owner", "label", "ends_in", "exchange", "scopes_held", "condition", "used")
    list_select_related = ("owner",)
    search_fields = ("owner__username", "label", "last4")
    ordering = ["owner__username", "label"]
    actions = ["revoke", "revoke_all_of_owner", "halt", "halt_owner"]

    @admin.display(description="Ends in", ordering="last4")
    def ends_in(self, key: ApiKey) -> str:
        return f"…{key.last4}"

    @admin.display(description="Permissions")
    def scopes_held(self, key: ApiKey) -> str:
        return KeyShown(key, timezone.now()).scope_summary

    @admin.display(description="State")
    def condition(self, key: ApiKey) -> str:
        return KeyShown(key, timezone.now()).words

    @admin.display(description="Last use")
    def used(self, key: ApiKey) -> str:
        last = KeyShown(key, timezone.now()).last_used
        return f"{last:%Y-%m-%d %H:%M} UTC" if last else "never"

    @admin.action(description="Revoke key")
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> HttpResponse | None:
        by = cast(User, request.user)

        def act(key: ApiKey, reason: str) -> str:
            keys.revoke_key(key=key, by=by, reason=reason)
            return f"Revoked: {key} of {key.owner}."

        return self.ask_reason(request, chosen, "Revoke keys", act)

    @admin.action(description="Revoke all keys of the owner")
    def revoke_all_of_owner(
        self, request: HttpRequest, chosen: QuerySet[ApiKey]
    ) -> HttpResponse | None:
        by = cast(User, request.user)

        def act(owner: User, reason: str) -> str:
            done = keys.revoke_all(by=by, reason=reason, owner=owner)
            return f"Revoked: {len(done)} keys of {owner}."

        return self.ask_reason(request, owners(chosen), "Revoke all keys of these people", act)

    @admin.action(description="Halt key, or release it")
    def halt(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> HttpResponse | None:
        by = cast(User, request.user)

        def act(key: ApiKey, reason: str, level: HaltLevel) -> str:
            keys.halt_keys(by=by, level=level, reason=reason, key=key)
            return f"Halt of {key} of {key.owner}: {level.label}."

        return self.ask_reason(request, chosen, "Halt keys", act, HaltForm)

    @admin.action(description="Halt all keys of the owner, or release them")
    def halt_owner(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> HttpResponse | None:
        by = cast(User, request.user)

        def act(owner: User, reason: str, level: HaltLevel) -> str:
            count = keys.halt_keys(by=by, level=level, reason=reason, owner=owner)
            return f"Halt of {owner}: {level.label}. It covers {count} keys."

        return self.ask_reason(request, owners(chosen), "Halt these people", act, HaltForm)


@admin.register(User, site=panel)
class UserAdmin(ListOnly):
    list_display = ("username", "condition", "standing", "last_login", "living_keys")
    search_fields = ("username",)
    ordering = ["username"]
    actions = ["deactivate", "reactivate", "make_staff", "end_staff"]

    @admin.display(description="State", ordering="is_active")
    def condition(self, user: User) -> str:
        """In words: Django's own picture for a boolean is a file that we do not serve."""
        return "active" if user.is_active else "deactivated"

    @admin.display(description="Standing", ordering="is_staff")
    def standing(self, user: User) -> str:
        return "staff" if user.is_staff else "user"

    @admin.display(description="Keys")
    def living_keys(self, user: User) -> int:
        return user.keys.filter(revoked_at=None).count()

    @admin.action(description="Deactivate account")
    def deactivate(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        by = cast(User, request.user)

        def act(user: User, reason: str) -> str:
            people.deactivate(user=user, by=by, reason=reason)
            return f"Deactivated: {user}. Every session of this person has ended."

        return self.ask_reason(request, chosen, "Deactivate accounts", act)

    @admin.action(description="Reactivate account")
    def reactivate(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        by = cast(User, request.user)

        def act(user: User, reason: str) -> str:
            people.reactivate(user=user, by=by, reason=reason)
            return f"Reactivated: {user}."

        return self.ask_reason(request, chosen, "Reactivate accounts", act)

    @admin.action(description="Make staff")
    def make_staff(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        """No act of safety, so unlike the others it needs a fresh proof."""
        by = cast(User, request.user)
        if not is_fresh(request):
            return ask(request)

        def act(user: User, reason: str) -> str:
            people.make_staff(user=user, by=by, reason=reason)
            return f"Staff now: {user}."

        return self.ask_reason(request, chosen, "Make these people staff", act)

    @admin.action(description="End being staff")
    def end_staff(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        by = cast(User, request.user)

        def act(user: User, reason: str) -> str:
            people.end_staff(user=user, by=by, reason=reason)
            return f"No longer staff: {user}."

        return self.ask_reason(request, chosen, "End being staff", act)


def owners(chosen: QuerySet[ApiKey]) -> QuerySet[User]:
    return User.objects.filter(pk__in=chosen.values("owner"))
