"""API tokens and the audit log in the Django admin."""

from __future__ import annotations

import json
from datetime import datetime

from django.contrib import admin
from django.utils import timezone

from fluxtracker.admin import LargeTableAdmin, ReadOnlyAdmin
from ops.models import ApiToken, AuditEntry


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("shown", "user", "name", "stands", "created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)
    ordering = ("-id",)
    fields = ("shown", "user", "name", "stands", "created_at", "expires_at", "revoked_at", "last_used_at")

    @admin.display(description="token")
    def shown(self, token: ApiToken) -> str:
        return f"{token.prefix}…"

    @admin.display(description="stands")
    def stands(self, token: ApiToken) -> str:
        return standing(token, timezone.now())


@admin.register(AuditEntry)
class AuditEntryAdmin(LargeTableAdmin):
    list_display = ("at", "who", "address", "action", "outcome", "told")
    list_filter = ("outcome",)
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("actor__exact", "address__exact", "action__exact", "request_id__exact")
    search_help_text = "A user name, an address, an action or the id of a request, whole."
    fields = ("at", "who", "address", "action", "outcome", "told", "request_id")

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor or "anonymous"

    @admin.display(description="detail")
    def told(self, entry: AuditEntry) -> str:
        return json.dumps(entry.detail, sort_keys=True) if entry.detail else ""


def standing(token: ApiToken, now: datetime) -> str:
    """Whether a token still opens anything."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"
