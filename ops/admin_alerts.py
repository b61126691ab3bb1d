"""Alerts in the Django admin: what is wrong now, what was, and a test of the ways to tell it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from fluxtracker import figures
from fluxtracker.admin import LargeTableAdmin
from ops import alert_doors
from ops.models import Alert
from ops.runs import NotDone


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
    change_list_template = "admin/ops/alert/change_list.html"

    def get_urls(self) -> list[URLPattern]:
        test = self.admin_site.admin_view(require_POST(self.test))
        return [path("test/", test, name="ops_alert_test"), *super().get_urls()]

    def test(self, request: HttpRequest) -> HttpResponse:
        """Tell a test on every channel at once; for all staff, as starting jobs is."""
        try:
            report = alert_doors.send_test(trigger="admin")
        except NotDone as error:
            words, level = f"The test was not told everywhere: {error}.", messages.ERROR
        else:
            told = [name for name, result in report.items() if result == "sent"]
            words, level = f"A test was sent by {' and '.join(told)}.", messages.SUCCESS
        self.message_user(request, words, level)
        page = "admin:ops_alert_changelist" if self.has_view_permission(request) else "admin:index"
        return HttpResponseRedirect(reverse(page))

    @admin.display(description="state")
    def state(self, alert: Alert) -> str:
        return "open" if alert.closed_at is None else "closed"

    @admin.display(description="lasted")
    def lasted(self, alert: Alert) -> str:
        return figures.span((alert.closed_at or timezone.now()) - alert.raised_at)
