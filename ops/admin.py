"""What runs and what ran, in the Django admin. The schedule itself is django-celery-beat's, editable there.

Alerts in the Django admin: what is wrong now, what was, and a test of the ways to tell it.

The audit log in the Django admin: who did, or was refused, what.

Jobs in the Django admin: who asked for what, how far it is, what came of it; and calling one off.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from fluxtracker import formatting
from fluxtracker.admin import LargeTableAdmin, ReadOnlyAdmin, list_link, pretty, told, user_of
from fluxtracker.periods import AHEAD
from ops import audit, leases
from ops.access import admin as access_admin
from ops.alerts import services
from ops.jobs import services as jobs_services
from ops.models import (
    Alert,
    AlertDelivery,
    AuditEntry,
    Job,
    Lease,
    ServiceCheck,
    ServiceState,
    SignInAttempt,
    Tally,
    TaskRun,
    TaskState,
    WorkerSeen,
)
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
            report = services.send_test(trigger="admin")
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
        return formatting.span((alert.closed_at or timezone.now()) - alert.raised_at)


def _outcome(row: AlertDelivery) -> str:
    at = row.recovery_sent_at if row.event == AlertDelivery.Event.CLOSED else row.sent_at
    outcome = "not yet" if at is None else formatting.moment(at)
    return f"{outcome} ({row.error}{', is tried again' if row.pending else ''})" if row.error else outcome


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("alert", "channel", "event", "sent_at", "recovery_sent_at", "pending", "error")
    list_select_related = ("alert",)
    ordering = ("-id",)
    sortable_by = ()


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


@admin.register(Job)
class JobAdmin(LargeTableAdmin):
    list_display = ("created_at", "name", "state", "actor", "via", "took", "progress", "error")
    list_display_links = ("created_at", "name")
    list_filter = ("state", "via")
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name__startswith", "actor__exact", "request_id__exact")
    search_help_text = "The name of the work by its beginning, a user name, or the id of a request."
    change_form_template = "admin/ops/job/change_form.html"
    fieldsets = (
        ("Result", {"fields": ("error", "answer")}),
        ("Request", {"fields": ("name", "asked_with", "actor", "via", "created_at", "request_id")}),
        ("Run", {"fields": ("sent_at", "started_at", "finished_at", "took", "seen_at", "attempts", "cancel_asked")}),
    )

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("<int:pk>/standing/", never_cache(self.standing), name="ops_job_standing"),
            path("<int:pk>/cancel/", wrap(require_POST(self.cancel)), name="ops_job_cancel"),
        ]
        return [*own, *super().get_urls()]

    def standing(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far it is, asked for again and again; when it is over, or the reader may not see it, the page reloads."""
        if not (self.admin_site.has_permission(request) and self.has_view_permission(request)):
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        job = get_object_or_404(Job, pk=pk)
        headers = {} if job.state in Job.ACTIVE else {"HX-Refresh": "true"}
        return TemplateResponse(request, "admin/ops/job/standing.html", {"original": job}, headers=headers)

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """For all staff, as in the API."""
        job = get_object_or_404(Job, pk=pk)
        try:
            job = jobs_services.cancel(job, user=user_of(request), address=audit.address_of(request))
        except jobs_services.AlreadyOver as error:
            self.message_user(request, f"Not cancelled: {error}.", messages.WARNING)
        else:
            off = job.state == Job.State.CANCELLED
            words = "The job is cancelled." if off else "The job will stop at its next step."
            self.message_user(request, words, messages.SUCCESS)
        page = "admin:ops_job_change" if self.has_view_permission(request) else "admin:index"
        return HttpResponseRedirect(reverse(page, args=[pk] if page != "admin:index" else None))

    @told("took")
    def took(self, job: Job) -> str | None:
        """Until now while it runs; None before it was started."""
        if job.started_at is None:
            return None
        return formatting.span((job.finished_at or timezone.now()) - job.started_at)

    @told("result")
    def answer(self, job: Job) -> SafeString | None:
        return pretty(job.result)

    @admin.display(description="parameters")
    def asked_with(self, job: Job) -> Any:
        return pretty(job.params)


__all__ = ["access_admin"]  # Django imports this file only: users and tokens come with it


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
        return formatting.ago(worker.seen_at, timezone.now())


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
