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
from django.views.decorators.http import require_safe

from dashboard.things import apps, pages, selectors
from dashboard.things.pages import Thing, Unknown
from deployments.selectors import stamp
from fluxtracker.api.conditional import make_etag
from fluxtracker.api.exceptions import no_database
from fluxtracker.database import read_snapshot
from fluxtracker.web.cache import cached

View = Callable[..., HttpResponseBase]
Find = Callable[[str, datetime], Thing | Unknown]
FOUND: Mapping[str, Find] = {
    "app": apps.app,
    "owner": apps.owner,
    "payer": pages.payer,
    "tx": pages.tx,
    "day": pages.day,
    "block": pages.block,
}
BY_CLOCK = ("app", "owner")  # apps end by it


def page_of(kind: str) -> View:
    """Return the view of the pages of one kind."""

    @cached(())
    @require_safe
    def page(request: HttpRequest, name: str) -> HttpResponseBase:
        """Answer 404 with what is close for a thing that there is not; another spelling redirects."""
        now = timezone.now()
        try:
            etag = make_etag(stamp_of(kind, now), request.build_absolute_uri(request.path))
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
    found = find(kind, name, now)
    if isinstance(found, Unknown):
        return render(request, "things/unknown.html", {"thing": found}, status=404)
    if found.name != name:
        return HttpResponsePermanentRedirect(found.url)
    context = {
        "thing": found,
        "now": now,
        "address": request.build_absolute_uri(found.url),
        "card": request.build_absolute_uri(reverse("dashboard:card-thing", args=[kind, found.name])),
    }
    return render(request, f"things/{kind}.html" if kind in BY_CLOCK else "things/page.html", context)


def find(kind: str, name: str, now: datetime) -> Thing | Unknown:
    """Return the thing with its totals. A text that can name nothing is not looked up: databases refuse some."""
    if not name.isprintable() or len(name) > selectors.LONGEST:
        return Unknown(kind, kind.capitalize(), name[: selectors.LONGEST], "Nothing has such a name.")
    with read_snapshot():
        return FOUND[kind](name, now)
