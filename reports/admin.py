"""Show which report was sent where."""

from __future__ import annotations

from django.contrib import admin

from fluxtracker.admin import ReadOnlyAdmin
from reports.models import ReportDelivery


@admin.register(ReportDelivery)
class ReportDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("period", "first_day", "channel", "sent_at", "error")
    list_filter = ("period", "channel")
    ordering = ("-first_day", "period", "channel")
    sortable_by = ()
