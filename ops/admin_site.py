"""The site of the admin: an overview as its first page, and a page for each piece of work that can be asked for."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import ValidationError

from fluxtracker.admin import user_of
from ops import admin_passwords, admin_work, jobs_table, overview
from ops.admin_work import Works
from ops.models import Job


class Site(AdminSite):
    """Every page is for staff; what they see of it is what Django's permissions give them."""

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
        context = _overview(request) | {"works": admin_work.works(), "title": "Overview"}
        return super().index(request, context | (extra_context or {}))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        _forget_relative_next(request)
        return super().login(request, extra_context)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        _forget_relative_next(request)
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        view = admin_passwords.PasswordView.as_view(
            template_name=self.password_change_template, success_url=reverse("admin:password_change_done"),
            extra_context=self.each_context(request) | (extra_context or {}),
        )  # fmt: skip
        return view(request)

    def overview(self, request: HttpRequest) -> HttpResponse:
        """The part of the first page that is asked for again and again. Who is signed out loads the page anew."""
        if not self.has_permission(request):
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        return TemplateResponse(request, "admin/overview_parts.html", _overview(request))

    def work(self, request: HttpRequest, name: str) -> HttpResponse:
        """Parameters of a piece of work and the button that starts it; what destroys is asked for twice."""
        try:
            works = Works.of(jobs_table.find(name))
        except jobs_table.UnknownVerb as error:
            raise Http404(str(error)) from error
        if request.method == "POST" and (works.is_harmless or "sure" in request.POST):
            try:
                return self._ask(request, works)
            except ValidationError as error:
                works = works.refused(request.POST, cast("dict[str, Any]", error.detail))
        status = 400 if works.errors else 200
        context = self.each_context(request) | {"works": works, "title": works.title}
        return TemplateResponse(request, "admin/work.html", context, status=status)

    def _ask(self, request: HttpRequest, works: Works) -> HttpResponse:
        asked = admin_work.ask(works, request.POST, request=request)
        level = messages.SUCCESS if asked.started else messages.ERROR
        messages.add_message(request, level, asked.words)
        return HttpResponseRedirect(_page_of(asked.job, request))


def _forget_relative_next(request: HttpRequest) -> None:
    """Django sends whoever signs in to an address of ours, or to the overview. One below the sign-in leads nowhere."""
    for name in ("GET", "POST"):
        values = getattr(request, name).copy()
        if not values.get(REDIRECT_FIELD_NAME, "/").startswith("/"):
            del values[REDIRECT_FIELD_NAME]
            setattr(request, name, values)


def _overview(request: HttpRequest) -> dict[str, Any]:
    found = overview.load(timezone.now())
    seen = [card for card in found.cards if not card.permission or user_of(request).has_perm(card.permission)]
    return {"overview": found, "cards": seen}


def _page_of(job: Job | None, request: HttpRequest) -> str:
    """The job's own page, for those who may see jobs."""
    if job is None or not user_of(request).has_perm("ops.view_job"):
        return reverse("admin:index")
    return reverse("admin:ops_job_change", args=[job.pk])
