"""Show app messages, lives and how full each day was in the admin."""

from __future__ import annotations

from django.contrib import admin

from deployments.models import AppEvent, AppLife, FillDay, MessageFact, MessagesState
from fluxtracker.admin import LargeTableAdmin, ReadOnlyAdmin, column, readable


@admin.register(MessageFact)
class MessageFactAdmin(LargeTableAdmin):
    list_display = ("hash", "name", "kind", "version", "height", "category", "applied")
    search_fields = ("hash", "app_key")
    ordering = ("hash",)
    sortable_by = ()


@admin.register(AppLife)
class AppLifeAdmin(LargeTableAdmin):
    list_display = ("name", "category", "instances", "registered_at", "end_at", "cancelled")
    search_fields = ("app_key",)
    ordering = ("app_key",)
    sortable_by = ()


@admin.register(AppEvent)
class AppEventAdmin(LargeTableAdmin):
    list_display = ("app", "position", "kind", "life", "at", "end_at", "payments", "revenue_sat")
    list_select_related = ("app",)
    search_fields = ("app__app_key", "message_hash")
    ordering = ("app", "position")
    sortable_by = ()


@admin.register(MessagesState)
class MessagesStateAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "complete_at", "read_at", "latest_version", "tip_height")
    fields = ("complete_at", "read_at", "latest_version", "tip_height", "catalogue_at", "templates_at", "coverage_told")

    coverage_told = column("coverage", lambda state: readable(state.coverage))


@admin.register(FillDay)
class FillDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "ordered", "running", "expired_running", "read_at")
    ordering = ("-day",)
    sortable_by = ()
