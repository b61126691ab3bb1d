"""The first page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from django.db import DatabaseError, ProgrammingError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from dashboard import page, tiles
from fluxtracker.api.caching import make_etag

log = structlog.get_logger(__name__)

AGE_STEP_S = 10  # a page that is loaded again shows ages at most this old


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    now = timezone.now()
    try:
        content = page.read(request, now)
    except (page.NoDatabase, DatabaseError) as error:
        return _unavailable(request, error)
    etag = make_etag([part.shown.etag for part in content.parts], int(now.timestamp()) // AGE_STEP_S)
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if response is None:
        response = render(request, "dashboard/page.html", _context(request, content, now))
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "no-cache"
    return response


def _context(request: HttpRequest, content: page.Page, now: datetime) -> dict[str, Any]:
    return {
        "page": content,
        "now": now,
        "address": request.build_absolute_uri("/"),
        "card": request.build_absolute_uri(static("img/card.png")),
        "periods": tiles.PERIODS.items(),
        "chosen": tiles.chosen(request.GET),
        "others": [(key, value) for key, value in request.GET.items() if key != "period"],
    }


def _unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """The database is away or not migrated: said in words, and that it heals by itself."""
    log.warning("page_unavailable", error=type(error).__name__)
    unmigrated = isinstance(error, ProgrammingError) or "no such" in str(error) or "migrat" in str(error)
    response = render(request, "503.html", {"unmigrated": unmigrated}, status=503)
    response.headers["Retry-After"] = "10"
    response.headers["Cache-Control"] = "no-store"
    return response
