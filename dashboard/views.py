"""Serve the page, its panels and the page about the data. No view asks an upstream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_safe

from dashboard.definitions import Definition, definitions
from dashboard.panels import base, strip, tiles
from dashboard.panels.base import Panel, Shown, show
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
    """A tile's definition and the metrics that belong to it."""

    definition: Definition
    rows: tuple[Row, ...]


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    return render(request, "dashboard/about.html", _about_context(now))


def _about_context(now: datetime) -> dict[str, Any]:
    """Few queries: the sources and the tracked apps."""
    return {
        "now": now,
        "chapters": chapters(tracked_apps()),
        "sources": strip.lines(now),
        "addresses": [row.address for row in settings.REVENUE_ADDRESSES],
        "confirmations": settings.MIN_CONFIRMATIONS,
        "retention": settings.RETENTION_DAYS,
        "price_metric": next(metric for metric in FIXED if metric.source == Source.Name.PRICE),
    }


def chapters(tracked: list[TrackedApp]) -> list[Chapter]:
    """In the order of the tiles; revenue's numbers are the ledger's and not among the metrics."""
    rows: dict[str, list[Row]] = {}
    for metric in FIXED:
        rows.setdefault(GROUPS.get(metric.group, metric.group), []).append(_row(metric))
    for app in tracked:
        rows.setdefault(app.category, []).append(_row(tracked_metric(app), _matched(app)))
    return [Chapter(one, tuple(rows.get(one.key, ()))) for one in definitions().values()]


def _row(metric: Metric, matched: str = "") -> Row:
    part, whole = RATIOS.get(metric.key, ("", ""))
    formula = f"{part} / {whole} × 100" if part else ""
    return Row(metric.key, metric.label, UNITS.get(metric.unit, metric.unit), formula, matched)


def _matched(app: TrackedApp) -> str:
    """By what its containers are known."""
    images = ", ".join(app.image_patterns)
    names = ", ".join(app.name_patterns)
    return "; ".join(filter(None, (images and f"image: {images}", names and f"app name: {names}")))


PANELS: dict[str, Panel] = {panel.name: panel for panel in (STRIP, FEEDS, TILES, CHART, PAYMENTS, SOURCES)}


FAILED = "X-Panel-Failed"


@require_safe
def panel(request: HttpRequest, name: str) -> HttpResponseBase:
    """200 also for a panel that failed: its place says so. 304 while nothing but ages has changed."""
    if name not in PANELS:
        raise Http404(f"no panel {name}")
    shown = show(PANELS[name], request, timezone.now())
    response: HttpResponseBase = get_conditional_response(request, etag=shown.etag) or HttpResponse(shown.html)
    response.headers["ETag"] = shown.etag
    patch_cache_control(response, no_cache=True)
    if shown.failed:
        response.headers[FAILED] = "1"
    return response


BEFORE, AFTER, FOOT = ("strip", "feeds"), ("tiles", "chart", "payments"), ("sources",)


@dataclass(frozen=True, slots=True)
class Part:
    """A panel in its place."""

    name: str
    title: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class Page:
    """Above the period switch, below it, and at the foot."""

    before: tuple[Part, ...]
    after: tuple[Part, ...]
    foot: tuple[Part, ...]

    @property
    def title(self) -> str:
        """Return what a part has to say in the title."""
        return next((part.shown.title for part in self.after if part.shown.title), "Figures cannot be read")

    @property
    def parts(self) -> tuple[Part, ...]:
        return *self.before, *self.after, *self.foot

    @property
    def styles(self) -> list[str]:
        return [file for part in self.parts for file in PANELS[part.name].styles]

    @property
    def scripts(self) -> list[str]:
        return [file for part in self.parts for file in PANELS[part.name].scripts]


def read(request: HttpRequest, now: datetime) -> Page:
    """Raise DatabaseError when there is nothing to read from. A part that fails says so in its place."""
    database = health.database_status()
    if not database.is_ok:
        raise (NotMigrated if database.code == "database_unmigrated" else OperationalError)(words(database, now))
    return Page(_parts(BEFORE, request, now), _parts(AFTER, request, now), _parts(FOOT, request, now))


def _parts(names: Iterable[str], request: HttpRequest, now: datetime) -> tuple[Part, ...]:
    """A panel that is not there yet is not shown."""
    there = [PANELS[name] for name in names if name in PANELS]
    return tuple(Part(panel.name, panel.title, base.show(panel, request, now)) for panel in there)


AGE_STEP_S = 10  # a page that is loaded again shows ages at most this old


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    now = timezone.now()
    try:
        content = read(request, now)
    except (DatabaseError, InterfaceError) as error:
        return no_database(request, error)
    etag = make_etag([part.shown.etag for part in content.parts], int(now.timestamp()) // AGE_STEP_S)
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if response is None:
        response = render(request, "dashboard/page.html", _context(request, content, now))
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "no-cache"
    return response


def _context(request: HttpRequest, content: Page, now: datetime) -> dict[str, Any]:
    return {
        "page": content,
        "now": now,
        "address": request.build_absolute_uri("/"),
        "card": request.build_absolute_uri(static("img/card.png")),
        "periods": tiles.PERIODS.items(),
        "chosen": tiles.chosen(request.GET),
        "others": [(key, value) for key, value in request.GET.items() if key != "period"],
    }
