"""Define the admin site: an overview as its first page, and a page for each job with the API's parameters and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty

from fluxtracker.admin import user_of
from fluxtracker.database import database_bytes
from ops import audit_log, check_results, health, registry, schedule_rows
from ops.access import login as access_login
from ops.access import passkeys, second_factor, single_sign_on
from ops.access.authentication import lacks_second_factor
from ops.health import Disk
from ops.jobs import services
from ops.models import Alert, Job, ServiceState, TaskState, WorkerSeen
from ops.registry import Field, JobGroup, JobType, missing_days
from ops.schedule_rows import ScheduledTask
from ops.status import Status, words

GROUPS = {  # tables that operators need; all others are listed last
    "Today": ("snapshots.Snapshot", "metrics.Source", "ops.ServiceState", "metrics.CensusDay", "carousel.Feed"),
    "Jobs": ("ops.Job", "ops.TaskRun", "ops.TaskState", "django_celery_beat.PeriodicTask"),
    "Data": (
        *("revenue.Payment", "revenue.DailyTotal", "revenue.DailyPrice", "revenue.App", "revenue.Quarantined"),
        *("revenue.Label", "revenue.ShareRule", "deployments.AppLife", "metrics.TrackedApp", "metrics.Category"),
    ),
    "Alerts": ("ops.Alert", "ops.AlertDelivery", "reports.ReportDelivery"),
    "Access": ("auth.User", "auth.Group", "ops.ApiToken", "ops.Passkey", "ops.AuditEntry", "ops.SignInAttempt"),
}
OTHERS = "Other tables"
JOB_GROUPS = {
    JobGroup.READ: "Read: what the schedule does, now",
    JobGroup.REPAIR: "Repair: what is missing or wrong",
    JobGroup.DANGER: "Danger: what no job brings back",
}
FOR_SETTING_UP = ("admin:second-factor", "admin:passkey-add", "admin:logout")
LABELS = {"batchSize": "batch size"}  # labels of parameters that differ from their names


def inputs(
    job_type: JobType, given: Mapping[str, Any] | None = None, errors: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return a job's parameters for a form: defaults, or given values with errors."""
    return [
        {
            "name": name,
            "label": LABELS.get(name, name),
            "kind": _kind(field),
            "value": _default(field) if given is None else given.get(name, ""),
            "help": field.help_text or "",
            "errors": (errors or {}).get(name, ()),
        }
        for name, field in job_type.params.items()
    ]


def _kind(field: Field) -> str:
    """Return the type of an HTML input."""
    if isinstance(field, serializers.BooleanField):
        return "checkbox"
    return "number" if isinstance(field, serializers.IntegerField) else "text"


def _default(field: Field) -> object:
    return "" if isinstance(field, serializers.BooleanField) or field.default is empty else field.default


class Outcome(NamedTuple):
    """Result of a request for a job. `job`: the new one, or the one that blocks it."""

    is_started: bool
    message: str
    job: Job | None


def start(job_type: JobType, given: Mapping[str, Any], *, request: HttpRequest) -> Outcome:
    """Request the job as the API does. Raise DRF's ValidationError for wrong parameters."""
    params = {name: given[name] for name in job_type.params if given.get(name)}
    try:
        job = services.request_job(
            job_type.name, params, user=user_of(request), address=audit_log.address_of(request), via="admin"
        )
    except (services.AlreadyRunning, services.NotSent) as error:
        return Outcome(False, f"Not started: {error}.", error.job)
    return Outcome(True, f"{job_type.title}: queued as job {job.pk}.", job)


class Site(AdminSite):
    """Pages for staff, limited by their permissions."""

    login_form = second_factor.SignInForm
    site_title = "Fluxtracker"
    site_header = "FLUX/TRACKER"
    index_title = "Overview"
    password_change_template = "admin/password_change.html"  # noqa: S105  no password

    def get_urls(self) -> list[URLPattern | URLResolver]:
        own = [
            path("overview/", never_cache(self.overview), name="overview"),
            path("second-factor/", self.admin_view(second_factor.second_factor), name="second-factor"),
            path("second-factor/passkey/", self.admin_view(second_factor.add_passkey), name="passkey-add"),
            path(
                "second-factor/passkey/<int:pk>/remove/",
                self.admin_view(second_factor.remove_passkey),
                name="passkey-remove",
            ),
            path("work/<slug:name>/", self.admin_view(self.work), name="work"),
        ]
        return [*own, *super().get_urls()]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Redirect staff who must set up a second factor to its page."""

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            name = request.resolver_match.view_name if request.resolver_match else ""
            if name not in FOR_SETTING_UP and lacks_second_factor(request):
                return HttpResponseRedirect(reverse("admin:second-factor"))
            return view(request, *args, **kwargs)

        return super().admin_view(guarded, cacheable)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Return the tables grouped by use, or as in Django for one app's page."""
        apps = super().get_app_list(request, app_label)
        if app_label:
            return apps
        left = {entry["model"]._meta.label: entry for app in apps for entry in app["models"]}
        groups = {name: [left.pop(label) for label in GROUPS[name] if label in left] for name in GROUPS}
        return [_section(name, models) for name, models in {**groups, OTHERS: list(left.values())}.items() if models]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        jobs = registry.jobs().values()
        grouped = {title: [job for job in jobs if job.group is group] for group, title in JOB_GROUPS.items()}
        context = {"overview": load_overview(timezone.now()), "job_types": grouped, "title": "Overview"}
        return super().index(request, context | (extra_context or {}))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        _forget_relative_next(request)
        context = {
            "has_accounts": User.objects.filter(is_staff=True, is_active=True).exists(),
            "passkey": passkeys.for_sign_in(request) if passkeys.is_possible(request) else None,
            "single_sign_on": settings.OIDC_NAME if single_sign_on.is_configured() else "",
        }
        return super().login(request, context | (extra_context or {}))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        _forget_relative_next(request)
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        view = access_login.PasswordView.as_view(
            template_name=self.password_change_template, success_url=reverse("admin:password_change_done"),
            extra_context=self.each_context(request) | (extra_context or {}),
        )  # fmt: skip
        return view(request)

    def overview(self, request: HttpRequest) -> HttpResponse:
        """Render the polled part of the first page. A signed-out reader reloads the page."""
        if not self.has_permission(request) or lacks_second_factor(request):
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        return TemplateResponse(request, "admin/overview_parts.html", {"overview": load_overview(timezone.now())})

    def work(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show a job's parameters and start it; a dangerous one requires typing its name."""
        try:
            job_type = registry.find(name)
        except registry.UnknownJob as error:
            raise Http404(str(error)) from error
        shown, status, is_sure = inputs(job_type), 200, request.POST.get("sure") == name or not job_type.is_dangerous
        if request.method == "POST" and is_sure:
            try:
                outcome = start(job_type, request.POST, request=request)
            except ValidationError as error:
                shown, status = inputs(job_type, request.POST, cast("dict[str, Any]", error.detail)), 400
            else:
                level = messages.SUCCESS if outcome.is_started else messages.ERROR
                messages.add_message(request, level, outcome.message)
                return HttpResponseRedirect(_page_of(outcome.job, request))
        elif request.method == "POST":
            shown, status = inputs(job_type, request.POST), 400
        context = self.each_context(request) | {"job_type": job_type, "inputs": shown, "title": job_type.title}
        context |= {"is_refused": status == 400, "is_sure": is_sure} | _danger(job_type)
        return TemplateResponse(request, "admin/work.html", context, status=status)


def _section(name: str, models: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a group of tables as Django describes an app."""
    slug = slugify(name)
    return {
        "name": name, "app_label": slug, "app_url": f"{reverse('admin:index')}#records-{slug}",
        "has_module_perms": True, "models": models, "is_folded": name == OTHERS,
    }  # fmt: skip


def _danger(job_type: JobType) -> dict[str, Any]:
    """Return the warning before a dangerous job: what is deleted, and the age of the last backup."""
    if not job_type.is_dangerous:
        return {}
    now, backup = timezone.now(), TaskState.by_name().get("backup")
    deletes = job_type.deletes(now) if job_type.deletes else {}
    return {"now": now, "deletes": deletes, "backed_up_at": backup and backup.last_success_at}


def _forget_relative_next(request: HttpRequest) -> None:
    """Drop a relative `next` URL, which would be wrong below the sign-in page."""
    for name in ("GET", "POST"):
        values = getattr(request, name).copy()
        if not values.get(REDIRECT_FIELD_NAME, "/").startswith("/"):
            del values[REDIRECT_FIELD_NAME]
            setattr(request, name, values)


def _page_of(job: Job | None, request: HttpRequest) -> str:
    """Return the job's page, for users who may see jobs."""
    if job is None or not user_of(request).has_perm("ops.view_job"):
        return reverse("admin:index")
    return reverse("admin:ops_job_change", args=[job.pk])


LAST_JOBS, MOST_ALERTS, MOST_WORKERS = 8, 20, 10
WORKER_FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Overview:
    """`report` is that of `/api/health`, `statuses` its problems; the other parts are rows."""

    now: datetime
    report: dict[str, Any]
    statuses: tuple[Status, ...]
    missing_days: int
    failing_services: list[ServiceState]
    workers: list[WorkerSeen]
    database_bytes: int
    disk: Disk | None
    alerts: list[Alert]
    scheduled: list[ScheduledTask]
    jobs: list[Job]

    @property
    def problems(self) -> list[str]:
        return [words(status, self.now) for status in self.statuses]

    @property
    def other_problems(self) -> list[str]:
        """Return the problems without an open alert."""
        keys = {alert.key for alert in self.alerts}
        return [words(status, self.now) for status in self.statuses if not status.key or status.key not in keys]

    @property
    def running(self) -> list[Job]:
        return [job for job in self.jobs if job.state in Job.ACTIVE]

    @property
    def is_backup_late(self) -> bool:
        return any(status.key in ("backup", "task:backup") for status in self.statuses)


def load_overview(now: datetime) -> Overview:
    """Load the overview in a fixed number of queries."""
    state = health.look(now)
    states = TaskState.by_name()
    return Overview(
        now=now,
        report=state.report,
        statuses=state.problems,
        missing_days=sum(len(days(now)) for days in missing_days),
        failing_services=list(ServiceState.objects.filter(status__in=check_results.FAILING)),
        workers=list(WorkerSeen.objects.filter(seen_at__gt=now - WORKER_FORGOTTEN).order_by("-seen_at")[:MOST_WORKERS]),
        database_bytes=database_bytes(),
        disk=health.disk(),
        alerts=list(Alert.objects.filter(closed_at=None)[:MOST_ALERTS]),
        scheduled=schedule_rows.scheduled_tasks(states, now),
        jobs=list(Job.objects.order_by("-id")[:LAST_JOBS]),
    )
