"""Show runs, leases, alerts, jobs and the audit log in the admin. The schedule is django-celery-beat's own page."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db import models
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
from fluxtracker.admin import UNKNOWN, LargeTableAdmin, ReadOnlyAdmin, column, list_link, readable, user_of
from fluxtracker.periods import AHEAD
from ops import audit_log, leases
from ops.access import admin as access_admin
from ops.access.authentication import lacks_second_factor
from ops.alerts import services
from ops.alerts.sending import configured
from ops.jobs import services as jobs_services
from ops.jobs.runs import NotDone
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
    fields = ("message", "key", "state", "raised_at", "seen_at", "closed_at", "sent")
    change_list_template = "admin/ops/alert/change_list.html"

    def get_urls(self) -> list[URLPattern]:
        test = self.admin_site.admin_view(require_POST(self.test))
        return [path("test/", test, name="ops_alert_test"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List alerts below the channels and their last deliveries."""
        names = [channel.name for channel in configured()]
        heard = AlertDelivery.objects.filter(channel__in=names).exclude(sent_at=None)
        last = dict(heard.values_list("channel").annotate(models.Max("sent_at")))
        channels = [(name, last.get(name)) for name in names]
        context = {"channels": channels, "now": timezone.now()} | (extra_context or {})
        return super().changelist_view(request, context)

    def test(self, request: HttpRequest) -> HttpResponse:
        """Send a test on every channel; allowed for all staff, as starting jobs is."""
        try:
            report = services.send_test(trigger="admin")
        except NotDone as error:
            words, level = f"The test was not sent everywhere: {error}.", messages.ERROR
        else:
            sent = [name for name, result in report.items() if result == "sent"]
            words, level = f"A test was sent by {' and '.join(sent)}.", messages.SUCCESS
        self.message_user(request, words, level)
        page = "admin:ops_alert_changelist" if self.has_view_permission(request) else "admin:index"
        return HttpResponseRedirect(reverse(page))

    state = column("state", lambda alert: "open" if alert.closed_at is None else "closed")

    @admin.display(description="sent")
    def sent(self, alert: Alert) -> SafeString:
        """Return a line per channel with the last message and its outcome."""
        rows = ((row.channel, row.event or "sent", _outcome(row)) for row in alert.deliveries.order_by("channel"))
        return format_html_join(mark_safe("<br>"), "{}: {}, {}", rows) or mark_safe("not sent yet")

    lasted = column("lasted", lambda alert: formatting.span((alert.closed_at or timezone.now()) - alert.raised_at))


def _outcome(row: AlertDelivery) -> str:
    at = row.recovery_sent_at if row.event == AlertDelivery.Event.CLOSED else row.sent_at
    outcome = "not yet" if at is None else formatting.moment(at)
    return f"{outcome} ({row.error}{', retrying' if row.pending else ''})" if row.error else outcome


class WordFilter(admin.SimpleListFilter):
    """Filters by a column with few known values, without scanning a large table for them."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class OutcomeFilter(WordFilter):
    title = parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in (audit_log.ASKED, audit_log.DONE, audit_log.REFUSED)]


@admin.register(AuditEntry)
class AuditEntryAdmin(LargeTableAdmin):
    list_display = ("at", "who", "address", "action", "outcome", "details")
    list_display_links = ("at", "action")
    list_filter = (OutcomeFilter,)
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("actor__exact", "address__exact", "action__icontains", "request_id__exact")
    search_help_text = "A complete user name, address or request id, or part of an action."
    fields = ("at", "who", "address", "action", "outcome", "details", "request_id")

    who = column("who", lambda entry: entry.actor or "anonymous")
    details = column("detail", lambda entry: json.dumps(entry.detail, sort_keys=True) if entry.detail else "")


@admin.register(Job)
class JobAdmin(LargeTableAdmin):
    list_display = ("created_at", "name", "state", "actor", "via", "took", "progress", "error")
    list_display_links = ("created_at", "name")
    list_filter = ("state", "via")
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name__startswith", "actor__exact", "request_id__exact")
    search_help_text = "Start of a task's name, a user name, or a request id."
    change_form_template = "admin/ops/job/change_form.html"
    fieldsets = (
        ("Result", {"fields": ("error", "answer")}),
        ("Request", {"fields": ("name", "asked_with", "actor", "via", "created_at", "request_id")}),
        ("Run", {"fields": ("sent_at", "started_at", "finished_at", "took", "seen_at", "attempts", "cancel_asked")}),
    )

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("<int:pk>/standing/", never_cache(self.progress), name="ops_job_progress"),
            path("<int:pk>/cancel/", wrap(require_POST(self.cancel)), name="ops_job_cancel"),
        ]
        return [*own, *super().get_urls()]

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the progress to a polling page. It reloads when the job is over or the reader may not see it."""
        is_staff = self.admin_site.has_permission(request) and not lacks_second_factor(request)
        if not (is_staff and self.has_view_permission(request)):
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        job = get_object_or_404(Job, pk=pk)
        headers = {} if job.state in Job.ACTIVE else {"HX-Refresh": "true"}
        return TemplateResponse(request, "admin/ops/job/progress.html", {"original": job}, headers=headers)

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Cancel a job; allowed for all staff, as in the API."""
        job = get_object_or_404(Job, pk=pk)
        try:
            job = jobs_services.cancel(job, user=user_of(request), address=audit_log.address_of(request))
        except jobs_services.AlreadyOver as error:
            self.message_user(request, f"Not cancelled: {error}.", messages.WARNING)
        else:
            off = job.state == Job.State.CANCELLED
            words = "The job is cancelled." if off else "The job will stop at its next step."
            self.message_user(request, words, messages.SUCCESS)
        page = "admin:ops_job_change" if self.has_view_permission(request) else "admin:index"
        return HttpResponseRedirect(reverse(page, args=[pk] if page != "admin:index" else None))

    @admin.display(description="took")
    def took(self, job: Job) -> str:
        """Return how long it took, or has taken so far."""
        if job.started_at is None:
            return UNKNOWN
        return formatting.span((job.finished_at or timezone.now()) - job.started_at)

    answer = column("result", lambda job: readable(job.result))
    asked_with = column("parameters", lambda job: readable(job.params))


__all__ = ["access_admin"]  # Django imports only this file: users and tokens come with it


@admin.register(TaskState)
class TaskStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "well", "consecutive_failures", "last_success_at", "last_failure_at", "last_error", "runs")
    ordering = ("name",)

    well = column("in order", lambda state: not state.alerting, boolean=True)
    runs = column("runs", lambda state: list_link(TaskRun, "runs", name=state.name))


class NameFilter(WordFilter):
    title, parameter_name = "task", "name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in TaskState.objects.order_by("name").values_list("name", flat=True)]


@admin.register(TaskRun)
class TaskRunAdmin(LargeTableAdmin):
    list_display = ("started_at", "name", "trigger", "ok", "took", "error")
    list_filter = (NameFilter, "trigger", "ok")
    ordering = ("-id",)
    sortable_by = ()

    @admin.display(description="took")
    def took(self, run: TaskRun) -> str:
        if run.finished_at is None:
            return UNKNOWN
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

    age = column("age", lambda worker: formatting.ago(worker.seen_at, timezone.now()))


@admin.register(ServiceState)
class ServiceStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "status", "consecutive_failures", "latency_ms", "detail", "last_ok_at", "past")
    list_filter = ("kind", "status")
    search_fields = ("name",)
    ordering = ("kind", "name")

    past = column("checks", lambda state: list_link(ServiceCheck, "checks", kind=state.kind, name=state.name))


admin.site.register(
    AlertDelivery, ReadOnlyAdmin, list_select_related=("alert",), ordering=("-id",), sortable_by=(),
    list_display=("alert", "channel", "event", "sent_at", "recovery_sent_at", "pending", "error"),
)  # fmt: skip
admin.site.register(
    ServiceCheck, LargeTableAdmin, list_filter=("kind", "status"), ordering=("-at", "-id"), sortable_by=(),
    list_display=("at", "kind", "name", "status", "latency_ms", "detail"),
)  # fmt: skip
admin.site.register(
    SignInAttempt, ReadOnlyAdmin, list_display=("at", "client", "mark", "browser"), ordering=("-id",)
)  # fmt: skip
admin.site.register(
    Tally, ReadOnlyAdmin, list_filter=("name",), ordering=("name", "label", "outcome"),
    list_display=("name", "label", "outcome", "value"), list_display_links=("name", "label"),
)  # fmt: skip
