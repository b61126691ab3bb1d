"""The admin's site: an overview as its first page, and a page for each job, with the API's parameters and rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, cast

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty

from fluxtracker.admin import user_of
from ops import audit, overview, registry
from ops.access import login as access_login
from ops.jobs import services
from ops.models import Job
from ops.registry import JobType


@dataclass(frozen=True, slots=True)
class Input:
    """A parameter as a form shows it. `kind` is the type of an HTML input."""

    name: str
    label: str
    kind: str
    value: object
    help: str
    errors: list[str]


@dataclass(frozen=True, slots=True)
class JobForm:
    """A job as a form."""

    job: JobType
    inputs: list[Input]
    errors: bool = False

    @classmethod
    def of(cls, job: JobType) -> Self:
        return cls(job, [_input(name, field) for name, field in job.params.items()])

    @property
    def title(self) -> str:
        return title(self.job.name)

    @property
    def is_harmless(self) -> bool:
        """Return whether one click starts it. What destroys data asks first."""
        return not self.job.destructive

    def refused(self, given: Mapping[str, Any], errors: Mapping[str, Any]) -> Self:
        """Return the form with what was given and what is wrong with it."""
        inputs = [
            replace(row, value=given.get(row.name, ""), errors=[str(words) for words in errors.get(row.name, ())])
            for row in self.inputs
        ]
        return replace(self, inputs=inputs, errors=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request for a job. `job`: the new one, or the one that is in the way."""

    is_started: bool
    message: str
    job: Job | None


def start(job_type: JobType, given: Mapping[str, Any], *, request: HttpRequest) -> Outcome:
    """Request the job as the API does. Raise DRF's ValidationError for wrong parameters."""
    params = {name: given[name] for name in job_type.params if given.get(name)}
    try:
        job = services.request_job(
            job_type.name, params, user=user_of(request), address=audit.address_of(request), via="admin"
        )
    except (services.AlreadyRunning, services.NotSent) as error:
        return Outcome(False, f"Not started: {error}.", error.job)
    return Outcome(True, f"{title(job_type.name)}: queued as job {job.pk}.", job)


def title(name: str) -> str:
    """Return a job's name for people: `revenue-sync` is `Revenue sync`."""
    words = name.replace("-", " ").replace("usd", "USD")
    return words[0].upper() + words[1:]


def _input(name: str, field: serializers.Field[Any, Any, Any, Any]) -> Input:
    is_box = isinstance(field, serializers.BooleanField)
    kind = "checkbox" if is_box else "number" if isinstance(field, serializers.IntegerField) else "text"
    value = "" if is_box or field.default is empty else field.default
    label = {"batchSize": "batch size"}.get(name, name)
    return Input(name, label, kind, value, str(field.help_text or ""), [])


class Site(AdminSite):
    """Pages for staff, as far as their permissions reach."""

    site_title = "Fluxtracker"
    site_header = "FLUX/TRACKER"
    index_title = "Overview"
    password_change_template = "admin/password_change.html"  # noqa: S105  no password

    def get_urls(self) -> list[URLPattern | URLResolver]:
        own = [
            path("overview/", never_cache(self.overview), name="overview"),
            path("work/<slug:name>/", self.admin_view(self.work), name="work"),
        ]
        return [*own, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        forms = [JobForm.of(job) for job in registry.jobs().values()]
        context = {"overview": overview.load(timezone.now()), "job_forms": forms, "title": "Overview"}
        return super().index(request, context | (extra_context or {}))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        _forget_relative_next(request)
        return super().login(request, extra_context)

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
        """Render the part of the first page that is polled. A signed-out reader reloads the page."""
        if not self.has_permission(request):
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        return TemplateResponse(request, "admin/overview_parts.html", {"overview": overview.load(timezone.now())})

    def work(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show a job's parameters and start it; what destroys data asks twice."""
        try:
            form = JobForm.of(registry.find(name))
        except registry.UnknownJob as error:
            raise Http404(str(error)) from error
        if request.method == "POST" and (form.is_harmless or "sure" in request.POST):
            try:
                outcome = start(form.job, request.POST, request=request)
            except ValidationError as error:
                form = form.refused(request.POST, cast("dict[str, Any]", error.detail))
            else:
                level = messages.SUCCESS if outcome.is_started else messages.ERROR
                messages.add_message(request, level, outcome.message)
                return HttpResponseRedirect(_page_of(outcome.job, request))
        context = self.each_context(request) | {"form": form, "title": form.title}
        return TemplateResponse(request, "admin/work.html", context, status=400 if form.errors else 200)


def _forget_relative_next(request: HttpRequest) -> None:
    """Drop a relative address to go on to: below the sign-in page it leads nowhere."""
    for name in ("GET", "POST"):
        values = getattr(request, name).copy()
        if not values.get(REDIRECT_FIELD_NAME, "/").startswith("/"):
            del values[REDIRECT_FIELD_NAME]
            setattr(request, name, values)


def _page_of(job: Job | None, request: HttpRequest) -> str:
    """Return the job's own page, for those who may see jobs."""
    if job is None or not user_of(request).has_perm("ops.view_job"):
        return reverse("admin:index")
    return reverse("admin:ops_job_change", args=[job.pk])
