"""Jobs in the Django admin: who asked for what, how far it is, what came of it; and calling one off."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from fluxtracker import figures
from fluxtracker.admin import LargeTableAdmin, pretty, told, user_of
from ops import audit, jobs
from ops.models import Job


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
        ("What came of it", {"fields": ("error", "answer")}),
        ("Asked for", {"fields": ("name", "asked_with", "actor", "via", "created_at", "request_id")}),
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
            job = jobs.cancel(job, user=user_of(request), address=audit.address_of(request))
        except jobs.AlreadyOver as error:
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
        return figures.span((job.finished_at or timezone.now()) - job.started_at)

    @told("result")
    def answer(self, job: Job) -> SafeString | None:
        return pretty(job.result)

    @admin.display(description="parameters")
    def asked_with(self, job: Job) -> Any:
        return pretty(job.params)
