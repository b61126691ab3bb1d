"""What runs and what ran, in the Django admin. The schedule itself is django-celery-beat's, editable there."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from fluxtracker import figures
from fluxtracker.admin import LargeTableAdmin, ReadOnlyAdmin, list_link, told
from fluxtracker.fresh import AHEAD
from ops import admin_alerts, admin_audit, admin_jobs, admin_tokens, admin_users, leases
from ops.models import Lease, ServiceCheck, ServiceState, Tally, TaskRun, TaskState, WorkerSeen

__all__ = [
    "admin_alerts",
    "admin_audit",
    "admin_jobs",
    "admin_tokens",
    "admin_users",
]  # Django imports this file only: the others come with it


@admin.register(TaskState)
class TaskStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "well", "consecutive_failures", "last_success_at", "last_failure_at", "last_error", "runs")
    ordering = ("name",)

    @admin.display(description="in order", boolean=True)
    def well(self, state: TaskState) -> bool:
        return not state.alerting

    @admin.display(description="runs")
    def runs(self, state: TaskState) -> SafeString:
        return list_link(TaskRun, "runs", name=state.name)


class NameFilter(admin.SimpleListFilter):
    """By piece of work; the names are those of the few task states, not a scan over all runs."""

    title = "work"
    parameter_name = "name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in TaskState.objects.order_by("name").values_list("name", flat=True)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(name=self.value()) if self.value() else queryset


@admin.register(TaskRun)
class TaskRunAdmin(LargeTableAdmin):
    list_display = ("started_at", "name", "trigger", "ok", "took", "error")
    list_filter = (NameFilter, "trigger", "ok")
    ordering = ("-id",)
    sortable_by = ()

    @told("took")
    def took(self, run: TaskRun) -> str | None:
        if run.finished_at is None:
            return None
        return f"{(run.finished_at - run.started_at).total_seconds():.1f} s"


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    list_display = ("name", "holder", "taken_at", "expires_at", "is_held")
    ordering = ("name",)

    @admin.display(description="held", boolean=True)
    def is_held(self, lease: Lease) -> bool:
        now = timezone.now()
        return bool(lease.holder and lease.expires_at and now < lease.expires_at <= now + leases.LIFETIME + AHEAD)


@admin.register(WorkerSeen)
class WorkerSeenAdmin(ReadOnlyAdmin):
    list_display = ("hostname", "seen_at", "age")
    ordering = ("-seen_at",)

    @admin.display(description="age")
    def age(self, worker: WorkerSeen) -> str:
        return figures.ago(worker.seen_at, timezone.now())


@admin.register(ServiceState)
class ServiceStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "status", "consecutive_failures", "latency_ms", "detail", "last_ok_at", "past")
    list_filter = ("kind", "status")
    search_fields = ("name",)
    ordering = ("kind", "name")

    @admin.display(description="checks")
    def past(self, state: ServiceState) -> SafeString:
        return list_link(ServiceCheck, "checks", kind=state.kind, name=state.name)


@admin.register(ServiceCheck)
class ServiceCheckAdmin(LargeTableAdmin):
    list_display = ("at", "kind", "name", "status", "latency_ms", "detail")
    list_filter = ("kind", "status")
    ordering = ("-at", "-id")
    sortable_by = ()


@admin.register(Tally)
class TallyAdmin(ReadOnlyAdmin):
    list_display = ("name", "label", "outcome", "value")
    list_display_links = ("name", "label")
    list_filter = ("name",)
    ordering = ("name", "label", "outcome")
