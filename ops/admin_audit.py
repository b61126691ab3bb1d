"""The audit log in the Django admin: who did, or was refused, what."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from fluxtracker.admin import LargeTableAdmin, ReadOnlyAdmin
from ops import audit
from ops.models import AuditEntry, SignInAttempt


class OutcomeFilter(admin.SimpleListFilter):
    """The words are known: no scan of the whole log for them."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in (audit.ASKED, audit.DONE, audit.REFUSED)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(LargeTableAdmin):
    list_display = ("at", "who", "address", "action", "outcome", "told")
    list_display_links = ("at", "action")
    list_filter = (OutcomeFilter,)
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("actor__exact", "address__exact", "action__icontains", "request_id__exact")
    search_help_text = "A user name, an address or the id of a request, whole; part of an action."
    fields = ("at", "who", "address", "action", "outcome", "told", "request_id")

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor or "anonymous"

    @admin.display(description="detail")
    def told(self, entry: AuditEntry) -> str:
        return json.dumps(entry.detail, sort_keys=True) if entry.detail else ""


@admin.register(SignInAttempt)
class SignInAttemptAdmin(ReadOnlyAdmin):
    list_display = ("at", "client", "mark", "browser")
    ordering = ("-id",)
