"""Serve a page for each thing: an app, an owner, a sender, a transaction, a day, a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from dashboard.detail_pages import apps, pages, selectors
from dashboard.detail_pages.pages import Thing, Unknown
from dashboard.panels import range_picker
from dashboard.panels.periods import RANGE
from deployments.selectors import stamp
from fluxtracker.api.conditional import make_etag
from fluxtracker.api.exceptions import no_database
from fluxtracker.database import read_snapshot
from fluxtracker.ranges import Range
from fluxtracker.web.cache import cached

View = Callable[..., HttpResponseBase]
FOUND: Mapping[str, Callable[..., Thing | Unknown]] = {
    "app": apps.app,
    "owner": apps.owner,
    "payer": pages.payer,
    "tx": pages.tx,
    "day": pages.day,
    "block": pages.block,
}
BY_CLOCK = ("app", "owner")  # apps end by it
WITH_RANGE = ("app", "owner", "payer")


def page_of(kind: str) -> View:
    """Return the view of the pages of one kind."""

    @cached((RANGE,) if kind in WITH_RANGE else ())
    @require_safe
    def page(request: HttpRequest, name: str) -> HttpResponseBase:
        """Answer 404 with what is close for a thing that there is not; another spelling redirects."""
        now = timezone.now()
        text = request.GET.get(RANGE, "") if kind in WITH_RANGE else ""
        try:
            address = request.build_absolute_uri(request.path)
            etag = make_etag(stamp_of(kind, now), address, text and (text, now.date()))
            response = get_conditional_response(request, etag=etag) or _shown(request, kind, name, now)
        except (DatabaseError, InterfaceError) as error:
            return no_database(request, error)
        if response.status_code in (200, 304):
            response.headers["ETag"] = etag
        patch_cache_control(response, no_cache=True)
        return response

    return page


def stamp_of(kind: str, now: datetime) -> object:
    """Return what changes with the pages of a kind."""
    return stamp(now), now.replace(second=0, microsecond=0) if kind in BY_CLOCK else None


def _shown(request: HttpRequest, kind: str, name: str, now: datetime) -> HttpResponse:
    range_of = range_picker.read(request.GET, now) if kind in WITH_RANGE else {}
    asked = range_of.get("range")
    found = find(kind, name, now, asked)
    if isinstance(found, Unknown):
        return render(request, "detail_pages/unknown.html", {"thing": found}, status=404)
    query = f"?{urlencode({RANGE: asked.text})}" if asked else ""
    if found.name != name:
        return HttpResponsePermanentRedirect(found.url + query)
    context = {
        **range_of,
        "query": request.GET,
        "thing": found,
        "now": now,
        "address": request.build_absolute_uri(found.url),
        "link": request.build_absolute_uri(found.url + query),
        "card": request.build_absolute_uri(reverse("dashboard:card-thing", args=[kind, found.name])),
    }
    return render(request, f"detail_pages/{kind}.html" if kind in BY_CLOCK else "detail_pages/page.html", context)


def find(kind: str, name: str, now: datetime, asked: Range | None = None) -> Thing | Unknown:
    """Return the thing with its totals, of a range where it has one.

    A text that can name nothing is not looked up: databases refuse some.
    """
    if not name.isprintable() or len(name) > selectors.LONGEST:
        return Unknown(kind, kind.capitalize(), name[: selectors.LONGEST], "Nothing has such a name.")
    with read_snapshot():
        return FOUND[kind](name, now, asked) if kind in WITH_RANGE else FOUND[kind](name, now)
