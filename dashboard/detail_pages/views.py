"""Serve the pages of apps, owners, senders, transactions, days and blocks."""

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
BY_CLOCK = ("app", "owner")  # apps end with the clock
WITH_RANGE = ("app", "owner", "payer")


def page_of(kind: str) -> View:
    """Return the view of the pages of one kind."""

    @cached((RANGE,) if kind in WITH_RANGE else ())
    @require_safe
    def page(request: HttpRequest, name: str) -> HttpResponseBase:
        """Serve the page, redirect from other spellings, or answer 404 with similar things."""
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
    """Return a stamp that changes with the pages of a kind."""
    return stamp(now), now.replace(second=0, microsecond=0) if kind in BY_CLOCK else None


def _shown(request: HttpRequest, kind: str, name: str, now: datetime) -> HttpResponse:
    range_of = range_picker.read(request.GET, now) if kind in WITH_RANGE else {}
    limits = range_of.get("range")
    thing = find(kind, name, now, limits)
    if isinstance(thing, Unknown):
        return render(request, "detail_pages/unknown.html", {"thing": thing}, status=404)
    query = f"?{urlencode({RANGE: limits.text})}" if limits else ""
    if thing.name != name:
        return HttpResponsePermanentRedirect(thing.url + query)
    context = {
        **range_of,
        "query": request.GET,
        "thing": thing,
        "now": now,
        "address": request.build_absolute_uri(thing.url),
        "link": request.build_absolute_uri(thing.url + query),
        "card": request.build_absolute_uri(reverse("dashboard:card-thing", args=[kind, thing.name])),
    }
    return render(request, f"detail_pages/{kind}.html" if kind in BY_CLOCK else "detail_pages/page.html", context)


def find(kind: str, name: str, now: datetime, limits: Range | None = None) -> Thing | Unknown:
    """Return the thing with its totals, limited to a range if it supports one.

    An impossible name is not looked up, as databases reject some.
    """
    if not name.isprintable() or len(name) > selectors.LONGEST:
        return Unknown(kind, kind.capitalize(), name[: selectors.LONGEST], "No such name is possible.")
    with read_snapshot():
        return FOUND[kind](name, now, limits) if kind in WITH_RANGE else FOUND[kind](name, now)
