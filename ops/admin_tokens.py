"""API tokens in the Django admin: made and shown once, revoked, never edited."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from fluxtracker import figures
from fluxtracker.admin import ReadOnlyAdmin, user_of
from ops import audit, tokens
from ops.models import ApiToken

MOST_DAYS = 3650


class TokenForm(forms.Form):
    """Whose it is, what it is for, how long it holds."""

    user = forms.ChoiceField(help_text="The token may do what this user may.")
    name = forms.CharField(max_length=60, required=False, label="What it is for")
    days = forms.IntegerField(
        min_value=1, max_value=MOST_DAYS, required=False, help_text="Days until it expires; empty: it does not."
    )

    def __init__(self, *args: Any, users: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        user = cast("forms.ChoiceField", self.fields["user"])
        user.choices = [(name, name) for name in users]


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Who may add tokens makes them for themselves; a superuser for everybody on the staff."""

    list_display = ("shown", "user", "name", "stands", "created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)
    ordering = ("-id",)
    actions = ("revoke_chosen",)
    fields = ("shown", "user", "name", "stands", "created_at", "expires_at", "revoked_at", "last_used_at")
    change_form_template = "admin/ops/apitoken/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(require_POST(self.revoke))
        return [path("<int:pk>/revoke/", revoke, name="ops_apitoken_revoke"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return user_of(request).has_perm("ops.add_apitoken")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return user_of(request).has_perm("ops.change_apitoken")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """Other people's tokens are a superuser's to see and to revoke."""
        rows: QuerySet[ApiToken] = super().get_queryset(request)
        return rows if user_of(request).is_superuser else rows.filter(user=user_of(request))

    @sensitive_variables("made")
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A form, and after it the token: in this answer and in no other."""
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

    @admin.action(description="Revoke: they open nothing any more", permissions=["revoke"])
    def revoke_chosen(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        self._revoke(request, list(queryset.select_related("user")))

    def _make(self, request: HttpRequest, wanted: dict[str, Any]) -> tokens.Made:
        return tokens.create(
            username=wanted["user"], now=timezone.now(), days=wanted["days"], name=wanted["name"],
            by=user_of(request).get_username(), address=audit.address_of(request),
        )  # fmt: skip

    def _revoke(self, request: HttpRequest, chosen: list[ApiToken]) -> None:
        now, by, address = timezone.now(), user_of(request).get_username(), audit.address_of(request)
        done = sum(tokens.revoke(token=token, now=now, by=by, address=address) for token in chosen)
        words = f"{figures.plural(done, 'token')} revoked." if done else "Nothing to revoke: that was done before."
        self.message_user(request, words, messages.SUCCESS if done else messages.WARNING)

    @admin.display(description="token")
    def shown(self, token: ApiToken) -> str:
        return f"{token.prefix}…"

    @admin.display(description="stands")
    def stands(self, token: ApiToken) -> str:
        return standing(token, timezone.now())


def standing(token: ApiToken, now: datetime) -> str:
    """Whether a token still opens anything."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


def _users(request: HttpRequest) -> list[str]:
    user = user_of(request)
    if not user.is_superuser:
        return [user.get_username()]
    staff = User.objects.filter(is_staff=True, is_active=True)
    return list(staff.order_by("username").values_list("username", flat=True))
