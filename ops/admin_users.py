"""Users and groups in the Django admin: nobody gives away, or gets hold of, rights that are not their own."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from fluxtracker import figures
from fluxtracker.admin import user_of
from ops import audit, tokens
from ops.admin_passwords import RevokeTokens

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")

admin.site.unregister([User, Group])


class PasswordForm(RevokeTokens, AdminPasswordChangeForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A new password for another user."""


@admin.register(User)
class Users(UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Superusers give rights. Others see users with no more rights than their own, and give none."""

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
        changed = response.status_code == 302 and response["Location"] != request.get_full_path()
        if changed and RevokeTokens.is_wanted(request):
            done = tokens.revoke_all(
                username=User.objects.get(pk=id).get_username(), now=timezone.now(),
                by=user_of(request).get_username(), address=audit.address_of(request),
            )  # fmt: skip
            messages.success(request, f"{figures.plural(done, 'API token')} revoked.")
        return response


@admin.register(Group)
class Groups(GroupAdmin):
    """What a group may do is what its users may do: a superuser's to say."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return user_of(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return user_of(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return user_of(request).is_superuser


def _has_more(other: Model | None, user: User) -> bool:
    """Whether the other user may do what this one may not, be it after having been activated again."""
    if not isinstance(other, User) or user.is_superuser:
        return False
    rows = Permission.objects.filter(Q(user=other) | Q(group__user=other))
    theirs = {f"{app}.{name}" for app, name in rows.values_list("content_type__app_label", "codename")}
    return other.is_superuser or not theirs <= user.get_all_permissions()
