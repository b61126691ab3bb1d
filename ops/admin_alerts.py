"""Alerts in the Django admin: what is wrong now, and what was."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from fluxtracker import figures
from fluxtracker.admin import LargeTableAdmin
from ops.models import Alert


class OpenFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "open"), ("closed", "closed")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


@admin.register(Alert)
class AlertAdmin(LargeTableAdmin):
    list_display = ("raised_at", "message", "state", "lasted", "sent_at", "closed_at")
    list_display_links = ("message",)
    list_filter = (OpenFilter,)
    ordering = ("-id",)
    sortable_by = ()
    fields = ("message", "key", "state", "raised_at", "seen_at", "sent_at", "closed_at", "recovery_sent_at")

    @admin.display(description="state")
    def state(self, alert: Alert) -> str:
        return "open" if alert.closed_at is None else "closed"

    @admin.display(description="lasted")
    def lasted(self, alert: Alert) -> str:
        return figures.span((alert.closed_at or timezone.now()) - alert.raised_at)
