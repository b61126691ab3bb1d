"""Alerts in the Django admin: what is wrong now, what was, and a test of the ways to tell it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_POST

from fluxtracker import figures
from fluxtracker.admin import LargeTableAdmin, ReadOnlyAdmin
from ops import alert_doors
from ops.models import Alert, AlertDelivery
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
    fields = ("message", "key", "state", "raised_at", "seen_at", "closed_at", "told")
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

    @admin.display(description="told")
    def told(self, alert: Alert) -> SafeString:
        """One line a channel: the last message, and what became of it."""
        rows = ((row.channel, row.event or "told", _outcome(row)) for row in alert.deliveries.order_by("channel"))
        return format_html_join(mark_safe("<br>"), "{}: {}, {}", rows) or mark_safe("nobody yet")

    @admin.display(description="lasted")
    def lasted(self, alert: Alert) -> str:
        return figures.span((alert.closed_at or timezone.now()) - alert.raised_at)


def _outcome(row: AlertDelivery) -> str:
    at = row.recovery_sent_at if row.event == AlertDelivery.Event.CLOSED else row.sent_at
    outcome = "not yet" if at is None else figures.moment(at)
    return f"{outcome} ({row.error}{', is tried again' if row.pending else ''})" if row.error else outcome


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("alert", "channel", "event", "sent_at", "recovery_sent_at", "pending", "error")
    list_select_related = ("alert",)
    ordering = ("-id",)
    sortable_by = ()
