"""Show the report of a period as a printable page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_safe

from fluxtracker.api.conditional import make_etag
from fluxtracker.api.exceptions import no_database
from fluxtracker.database import read_snapshot
from fluxtracker.periods import Bucket, Period
from fluxtracker.web.cache import cached
from reports import calendar, formatting, kpi_report
from reports.calendar import Named
from reports.kpi_report import NotOver


@cached(())
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Redirect to the report of the last completed month."""
    response = HttpResponseRedirect(url_of(calendar.last_completed(Bucket.MONTH, timezone.now())))
    patch_cache_control(response, no_cache=True)
    return response


@cached(())
@require_safe
def page(request: HttpRequest, bucket: str, key: str) -> HttpResponseBase:
    """Show the report, or 404 for an invalid period and 400 for one that is not over."""
    period = _period(bucket, key)
    now = timezone.now()
    try:
        etag = make_etag(kpi_report.stamp(now), request.path)
        known = get_conditional_response(request, etag=etag)
        response = _shown(request, period, now) if known is None else known
    except NotOver as error:
        context = {"title": calendar.title(period), "last": Named.of(error.last), "url": url_of(error.last)}
        return render(request, "reports/not_over.html", context, status=400)
    except (DatabaseError, InterfaceError) as error:
        return no_database(request, error)
    response.headers["ETag"] = etag
    patch_cache_control(response, no_cache=True)
    return response


def _period(bucket: str, key: str) -> Period:
    period = calendar.parse(Bucket(bucket), key) if bucket in {one.value for one in Bucket} else None
    if period is None:
        raise Http404(f"no report {bucket} {key}")
    return period


def _shown(request: HttpRequest, period: Period, now: datetime) -> HttpResponse:
    with read_snapshot():
        report = kpi_report.report(period, now)
        first = kpi_report.first_day()
    if first is not None and period.last_day < first:
        raise Http404(f"the ledger begins on {first}")
    return render(request, "reports/page.html", {**formatting.context_of(report), **_around(period, first, now)})


def _around(period: Period, first: Any, now: datetime) -> dict[str, Any]:
    """Return links to both neighbours, and to longer and shorter periods that end with this one."""
    before, after = period.previous(), calendar.following(period)
    others = [calendar.containing(bucket, period.last_day) for bucket in Bucket if bucket != calendar.bucket_of(period)]
    return {
        "before": link(before) if first is None or before.last_day >= first else None,
        "after": link(after) if calendar.is_over(after, now) else None,
        "others": [link(one) for one in others if calendar.is_over(one, now)],
        "canonical": url_of(period),
    }


def link(period: Period) -> dict[str, str]:
    return {"url": url_of(period), "title": calendar.title(period)}


def url_of(period: Period) -> str:
    return reverse("reports:page", args=[calendar.bucket_of(period), period.key])
