"""Jobs in the Django admin: who asked for what, how far it is, what came of it."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import figures
from fluxtracker.admin import UNKNOWN, LargeTableAdmin
from ops.models import Job


@admin.register(Job)
class JobAdmin(LargeTableAdmin):
    list_display = ("created_at", "name", "state", "actor", "via", "took", "progress", "error")
    list_filter = ("state", "via")
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("name__startswith", "actor__exact", "request_id__exact")
    search_help_text = "The name of the work by its beginning, a user name, or the id of a request."
    fieldsets = (
        (None, {"fields": ("name", "state", "progress", "error", "answer")}),
        ("Asked for", {"fields": ("actor", "via", "asked_with", "created_at", "request_id")}),
        ("Run", {"fields": ("sent_at", "started_at", "finished_at", "took", "seen_at", "attempts", "cancel_asked")}),
    )

    @admin.display(description="took", empty_value=UNKNOWN)
    def took(self, job: Job) -> str | None:
        """Until now while it runs; None before it was started."""
        if job.started_at is None:
            return None
        return figures.span((job.finished_at or timezone.now()) - job.started_at)

    @admin.display(description="result", empty_value=UNKNOWN)
    def answer(self, job: Job) -> SafeString | None:
        return None if job.result is None else pretty(job.result)

    @admin.display(description="parameters")
    def asked_with(self, job: Job) -> SafeString:
        return pretty(job.params)


def pretty(data: object) -> SafeString:
    """JSON for people."""
    return format_html("<pre>{}</pre>", json.dumps(data, indent=1, sort_keys=True))
