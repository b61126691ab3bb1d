"""The first page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from dashboard import page, tiles
from fluxtracker.api.caching import make_etag
from fluxtracker.api.errors import no_database

AGE_STEP_S = 10  # a page that is loaded again shows ages at most this old


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    now = timezone.now()
    try:
        content = page.read(request, now)
    except (page.NoDatabase, DatabaseError, InterfaceError) as error:
        return no_database(request, error)
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
