"""The first page. The same address answers a poll of htmx with the part that changes."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.conf import settings
from django.db import DatabaseError, ProgrammingError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from dashboard import page

log = structlog.get_logger(__name__)

AGE_STEP_S = 10  # a whole page that is loaded again shows ages at most this old; polls tick by themselves


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    now = timezone.now()
    try:
        content = page.read(now)
    except (page.NoDatabase, DatabaseError) as error:
        return _unavailable(request, error)
    partial = request.headers.get("HX-Request") == "true"
    etag = _etag(content, now, partial=partial)
    response = get_conditional_response(request, etag=etag)
    if response is None:
        response = _rendered(request, content, now, partial=partial)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ["HX-Request"])
    return response


def _etag(content: page.Page, now: datetime, *, partial: bool) -> str:
    shown_at = "" if partial else f"-{int(now.timestamp()) // AGE_STEP_S}"
    return f'"{content.fingerprint()}{shown_at}"'


def _rendered(request: HttpRequest, content: page.Page, now: datetime, *, partial: bool) -> HttpResponse:
    template = "dashboard/live.html" if partial else "dashboard/page.html"
    context = {
        "page": content,
        "now": now,
        "etag": _etag(content, now, partial=True),
        "confirmations": settings.MIN_CONFIRMATIONS,
    }
    return render(request, template, context)


def _unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database is away or not migrated: said in words, and that it heals by itself."""
    log.warning("page_unavailable", error=type(error).__name__)
    unmigrated = isinstance(error, ProgrammingError) or "no such" in str(error) or "migrat" in str(error)
    response = render(request, "503.html", {"unmigrated": unmigrated}, status=503)
    response.headers["Retry-After"] = "10"
    response.headers["Cache-Control"] = "no-store"
    return response
