"""Manage users, groups and API tokens in the admin. No user can grant or gain rights beyond their own."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from fluxtracker import formatting
from fluxtracker.admin import ReadOnlyAdmin, user_of
from ops import audit_log
from ops.access import authentication
from ops.access.login import RevokeTokens
from ops.models import ApiToken, Passkey

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")

admin.site.unregister([User, Group, TOTPDevice, StaticDevice])  # the pages of the last two show secrets


class PasswordForm(RevokeTokens, AdminPasswordChangeForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A new password for another user."""


@admin.register(User)
class Users(UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Only superusers grant rights. Others edit users with no more rights than their own."""

    change_password_form = PasswordForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users: QuerySet[User] = super().get_queryset(request)
        return users if user_of(request).is_superuser else users.filter(is_superuser=False)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return () if user_of(request).is_superuser else RIGHTS

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and not _has_more(obj, user_of(request))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not _has_more(obj, user_of(request))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        response: HttpResponse = super().user_change_password(request, id, form_url)
        if response.status_code == 302 and response["Location"] != request.get_full_path():
            RevokeTokens.revoke(request, User.objects.get(pk=id).get_username())
        return response


@admin.register(Group)
class Groups(GroupAdmin):
    """Only superusers edit groups, as a group's rights are its users' rights."""

    def _allow_superusers(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return user_of(request).is_superuser

    has_add_permission = has_change_permission = has_delete_permission = _allow_superusers


def _has_more(other: Model | None, user: User) -> bool:
    """Return whether the other user, even if reactivated later, may do what this one may not."""
    if not isinstance(other, User) or user.is_superuser:
        return False
    rows = Permission.objects.filter(Q(user=other) | Q(group__user=other))
    theirs = {f"{app}.{name}" for app, name in rows.values_list("content_type__app_label", "codename")}
    return other.is_superuser or not theirs <= user.get_all_permissions()


MOST_DAYS = 3650


class TokenForm(forms.Form):
    """Ask for the user, the purpose and the lifetime of a token."""

    user = forms.ChoiceField(help_text="The token may do what this user may.")
    name = forms.CharField(max_length=60, required=False, label="What it is for")
    days = forms.IntegerField(
        min_value=1, max_value=MOST_DAYS, required=False, help_text="Days until it expires; empty: never."
    )

    def __init__(self, *args: Any, users: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        user = cast("forms.ChoiceField", self.fields["user"])
        user.choices = [(name, name) for name in users]


@admin.register(Passkey)
class Passkeys(ReadOnlyAdmin):
    """Passkeys of users, who add and remove them under *Second factor*."""

    list_display = fields = ("user", "name", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "name")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Users create tokens for themselves, superusers for all staff."""

    list_display = ("shown", "user", "name", "state", "created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)
    ordering = ("-id",)
    actions = ("revoke_chosen",)
    fields = ("shown", "user", "name", "state", "created_at", "expires_at", "revoked_at", "last_used_at")
    change_form_template = "admin/ops/apitoken/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(require_POST(self.revoke))
        return [path("<int:pk>/revoke/", revoke, name="ops_apitoken_revoke"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return user_of(request).has_perm("ops.add_apitoken")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return user_of(request).has_perm("ops.change_apitoken")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """Return the user's own tokens, or all for superusers."""
        rows: QuerySet[ApiToken] = super().get_queryset(request)
        return rows if user_of(request).is_superuser else rows.filter(user=user_of(request))

    @sensitive_variables("made")
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a form, and then the token, once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TokenForm(request.POST or None, users=_users(request))
        made = self._make(request, form.cleaned_data) if form.is_valid() else None
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, "made": made}
        context["title"] = "Your new token" if made else "Make a token"
        response = TemplateResponse(request, "admin/ops/apitoken/add.html", context)
        add_never_cache_headers(response)
        return response

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        token = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        self._revoke(request, [token])
        return HttpResponseRedirect(reverse("admin:ops_apitoken_changelist"))

    @admin.action(description="Revoke selected tokens", permissions=["revoke"])
    def revoke_chosen(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        self._revoke(request, list(queryset.select_related("user")))

    def _make(self, request: HttpRequest, values: dict[str, Any]) -> authentication.Made:
        return authentication.create(
            username=values["user"], now=timezone.now(), days=values["days"], name=values["name"],
            by=user_of(request).get_username(), address=audit_log.address_of(request),
        )  # fmt: skip

    def _revoke(self, request: HttpRequest, chosen: list[ApiToken]) -> None:
        now, by, address = timezone.now(), user_of(request).get_username(), audit_log.address_of(request)
        done = sum(authentication.revoke(token=token, now=now, by=by, address=address) for token in chosen)
        words = f"{formatting.plural(done, 'token')} revoked." if done else "Nothing to revoke: already revoked."
        self.message_user(request, words, messages.SUCCESS if done else messages.WARNING)

    @admin.display(description="token")
    def shown(self, token: ApiToken) -> str:
        return f"{token.prefix}…"

    @admin.display(description="state")
    def state(self, token: ApiToken) -> str:
        return state_of(token, timezone.now())


def state_of(token: ApiToken, now: datetime) -> str:
    """Return whether a token is valid, expired or revoked."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


def _users(request: HttpRequest) -> list[str]:
    user = user_of(request)
    if not user.is_superuser:
        return [user.get_username()]
    staff = User.objects.filter(is_staff=True, is_active=True)
    return list(staff.order_by("username").values_list("username", flat=True))
