"""Serve the page, its panels and the page about the data. No view asks an upstream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_safe

from dashboard.panels import strip, tiles
from dashboard.panels.base import Panel, show
from dashboard.panels.carousel import FEEDS
from dashboard.panels.chart.panel import CHART
from dashboard.panels.payments.panel import PAYMENTS
from dashboard.panels.strip import SOURCES, STRIP
from dashboard.panels.tiles import TILES
from fluxtracker.api.conditional import make_etag
from fluxtracker.api.exceptions import no_database
from fluxtracker.database import NotMigrated
from metrics.catalogue import COUNT, FIXED, RATIOS, Metric, tracked_apps, tracked_metric
from metrics.models import Source, TrackedApp
from ops import health
from ops.status import words

UNITS: Mapping[str, str] = {COUNT: "count"}
GROUPS: Mapping[str, str] = {"wordpress": "apps"}  # groups of the catalogue that have no tile of their own


@dataclass(frozen=True, slots=True)
class Row:
    """A metric as the table lists it. `formula`: how it follows from others; empty for what is read."""

    key: str
    label: str
    unit: str
    formula: str
    matched: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A tile and the metrics that belong to it."""

    key: str
    title: str
    rows: tuple[Row, ...]


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Explain every metric. Few queries: the sources and the tracked apps."""
    now = timezone.now()
    context = {
        "now": now,
        "chapters": chapters(tracked_apps()),
        "sources": strip.lines(now),
        "addresses": [row.address for row in settings.REVENUE_ADDRESSES],
        "confirmations": settings.MIN_CONFIRMATIONS,
        "retention": settings.RETENTION_DAYS,
        "price_metric": next(metric for metric in FIXED if metric.source == Source.Name.PRICE),
    }
    return render(request, "dashboard/about.html", context)


def chapters(tracked: list[TrackedApp]) -> list[Chapter]:
    """Return the tiles in their order, each with its metrics; revenue has none: its numbers are the ledger's."""
    rows: dict[str, list[Row]] = {}
    for metric in FIXED:
        rows.setdefault(GROUPS.get(metric.group, metric.group), []).append(_row(metric))
    for app in tracked:
        rows.setdefault(app.category, []).append(_row(tracked_metric(app), _matched(app)))
    return [Chapter(key, title, tuple(rows.get(key, ()))) for key, title in tiles.TITLES.items()]


def _row(metric: Metric, matched: str = "") -> Row:
    part, whole = RATIOS.get(metric.key, ("", ""))
    formula = f"{part} / {whole} × 100" if part else ""
    return Row(metric.key, metric.label, UNITS.get(metric.unit, metric.unit), formula, matched)


def _matched(app: TrackedApp) -> str:
    """Return the patterns that find its containers."""
    images = ", ".join(app.image_patterns)
    names = ", ".join(app.name_patterns)
    return "; ".join(filter(None, (images and f"image: {images}", names and f"app name: {names}")))


PANELS: dict[str, Panel] = {panel.name: panel for panel in (STRIP, FEEDS, TILES, CHART, PAYMENTS, SOURCES)}
AGE_STEP_S = 10  # a page that is loaded again knows the server's time to this
NO_TITLE = "Figures cannot be read"


@require_safe
def panel(request: HttpRequest, name: str) -> HttpResponse:
    """Answer 200 also for a panel that failed: its place says so. While it has not changed, middleware answers 304."""
    if name not in PANELS:
        raise Http404(f"no panel {name}")
    shown = show(PANELS[name], request.GET, timezone.now())
    response = HttpResponse(shown.html, headers={"ETag": shown.etag})
    patch_cache_control(response, no_cache=True)
    if shown.failed:
        response.headers["X-Panel-Failed"] = "1"
    return response


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """Answer 503 when there is nothing to read from. A panel that fails says so in its place."""
    now = timezone.now()
    try:
        database = health.database_status()
        if not database.is_ok:
            raise (NotMigrated if database.code == "database_unmigrated" else OperationalError)(words(database, now))
        parts = {name: show(panel, request.GET, now) for name, panel in PANELS.items()}
    except (DatabaseError, InterfaceError) as error:
        return no_database(request, error)
    etag = make_etag([part.etag for part in parts.values()], int(now.timestamp()) // AGE_STEP_S)
    context = {
        "parts": parts,
        "title": parts["tiles"].title or NO_TITLE,
        "now": now,
        "address": request.build_absolute_uri(reverse("dashboard:home")),
        "card": request.build_absolute_uri(static("img/card.png")),
        "periods": tiles.PERIODS.items(),
        "chosen": tiles.chosen(request.GET),
        "others": [(key, value) for key, value in request.GET.items() if key != "period"],
    }
    response = get_conditional_response(request, etag=etag) or render(request, "dashboard/page.html", context)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "no-cache"
    return response
