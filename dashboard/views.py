"""Serve the page, its panels and the page about the data. No view asks an upstream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_safe

from dashboard.open_data import views as files
from dashboard.panels import periods, status_strip, tiles
from dashboard.panels.base import Panel, Shown, peek, show
from dashboard.panels.carousel import FEEDS
from dashboard.panels.chart.panel import CHART
from dashboard.panels.economics import ORIGINS, PAID
from dashboard.panels.payments.panel import PAYMENTS, PENDING
from dashboard.panels.range_picker import RANGES
from dashboard.panels.status_strip import SOURCES, STRIP
from dashboard.panels.tiles import TILES
from fluxtracker.api.conditional import make_etag
from fluxtracker.api.exceptions import no_database
from fluxtracker.database import NotMigrated
from fluxtracker.web.cache import cached
from metrics.metric_keys import COUNT, FIXED, RATIOS, Metric, tracked_apps, tracked_metric
from metrics.models import Source, TrackedApp
from ops import health
from ops.status import words
from snapshots.series.choices import MONEY, STATES

LISTED_MONTHS = 12  # on the page; /data/files/ has all
UNITS: Mapping[str, str] = {COUNT: "count"}
DRAWN: Mapping[str, str] = {  # how streams are computed from daily rows
    "organic": "all payments without the team's",
    "card": "payments of the card gateway",
    "team": "payments of the team's wallets",
    "accrued": "earnings of the days from all payments",
    "mrr": "accrued per day × 365.25 / 12",
    "deferred": "paid and not yet earned at the end of the day",
    "fill_percent": "running instances / ordered ones × 100, of each app at most what it ordered",
    "operators": "payment addresses of the node list",
    "countries": "countries of the nodes that tell one",
}
GROUPS: Mapping[str, str] = {"wordpress": "apps"}  # groups of the catalogue without a tile


@dataclass(frozen=True, slots=True)
class Row:
    """A metric in the table. `formula`: its computation from others, empty if read directly."""

    key: str
    label: str
    unit: str
    formula: str
    matched: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A tile and its metrics."""

    key: str
    title: str
    rows: tuple[Row, ...]


@cached(())
@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Explain every metric. Few queries: the sources and the tracked apps."""
    now = timezone.now()
    context = {
        "now": now,
        "chapters": chapters(tracked_apps(patterns=True)),
        "drawn": [
            Row(choice.key, choice.label, UNITS.get(choice.unit, choice.unit), DRAWN[choice.stream])
            for choice in (*MONEY, *STATES)
        ],
        "sources": status_strip.lines(now),
        "addresses": [row.address for row in settings.REVENUE_ADDRESSES],
        "confirmations": settings.MIN_CONFIRMATIONS,
        "retention": settings.RETENTION_DAYS,
        "months": files.listed()[:LISTED_MONTHS],
        "price_metric": next(metric for metric in FIXED if metric.source == Source.Name.PRICE),
    }
    return render(request, "dashboard/about.html", context)


def chapters(tracked: list[TrackedApp]) -> list[Chapter]:
    """Return the tiles in order with their metrics; revenue has none, as its numbers are the ledger's."""
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
    """Return the patterns that match its containers."""
    images = ", ".join(app.image_patterns)
    names = ", ".join(app.name_patterns)
    return "; ".join(filter(None, (images and f"image: {images}", names and f"app name: {names}")))


PANELS: dict[str, Panel] = {
    panel.name: panel for panel in (STRIP, RANGES, TILES, ORIGINS, PAID, FEEDS, CHART, PENDING, PAYMENTS, SOURCES)
}
FRAMED = ("tiles", "origins", "paid", "feeds", "chart", "payments")  # other sites may show these
ON_A_WALL = ("strip", "tiles", "pending", "payments")
AGE_STEP_S = 10  # precision of the server's time on a reloaded page
NO_TITLE = "Figures cannot be read"


KEYS = frozenset(key for panel in PANELS.values() for key in panel.keys)


@cached(KEYS)
@require_safe
def panel(request: HttpRequest, name: str) -> HttpResponseBase:
    """Serve a panel, with 200 even if it failed, as it shows the error."""
    if name not in PANELS:
        raise Http404(f"no panel {name}")
    now = timezone.now()
    etag, shown = peek(PANELS[name], request.GET, now)
    known = get_conditional_response(request, etag=etag)
    if known is None:
        shown = shown or show(PANELS[name], request.GET, now)
        known = HttpResponse(shown.html)
        if shown.failed:
            known.headers["X-Panel-Failed"] = "1"
    if shown is None or not shown.failed:
        known.headers["ETag"] = etag
    patch_cache_control(known, no_cache=True)
    return known


@cached(KEYS)
@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """Serve the page."""
    return _whole(request, PANELS, "dashboard/page.html")


@cached(KEYS)
@require_safe
def wall(request: HttpRequest) -> HttpResponseBase:
    """Serve the page for wall screens: the period's revenue and the latest payments, live."""
    return _whole(request, {name: PANELS[name] for name in ON_A_WALL}, "dashboard/live.html")


def _whole(request: HttpRequest, panels: Mapping[str, Panel], template: str) -> HttpResponseBase:
    """Serve the whole page, or 503 without a database. A panel that fails shows its error."""
    now = timezone.now()
    try:
        database = health.database_status()
        if not database.is_ok:
            raise (NotMigrated if database.code == "database_unmigrated" else OperationalError)(words(database, now))
        seen = {name: peek(panel, request.GET, now) for name, panel in panels.items()}
        etag = make_etag([etag for etag, _ in seen.values()], int(now.timestamp()) // AGE_STEP_S)
        response = get_conditional_response(request, etag=etag) or _page(request, template, seen, now)
    except (DatabaseError, InterfaceError) as error:
        return no_database(request, error)
    response.headers.setdefault("ETag", etag)
    response.headers["Cache-Control"] = "no-cache"
    return response


def _fixed(request: HttpRequest, chosen: periods.Chosen) -> str:
    """Return the permanent URL of the current period, empty for a rolling one."""
    query = request.GET.copy()
    if chosen.range:
        query[periods.RANGE] = f"{chosen.range.first}..{chosen.range.last}"
    elif chosen.choice.rolling:
        return ""
    else:
        query["period"], query["at"] = chosen.choice.key, chosen.period.key
    return request.build_absolute_uri(f"{reverse('dashboard:home')}?{query.urlencode()}")


def _frame(request: HttpRequest, name: str) -> str:
    query = QueryDict(mutable=True)
    for key in PANELS[name].keys:
        query.setlist(key, request.GET.getlist(key))
    return request.build_absolute_uri(f"{reverse(f'dashboard:embed-{name}')}?{query.urlencode()}".rstrip("?"))


def _page(
    request: HttpRequest, template: str, seen: Mapping[str, tuple[str, Shown | None]], now: datetime
) -> HttpResponse:
    """Return the page with rendered and deferred panels."""
    shown = {name: (etag, part or show(PANELS[name], request.GET, now)) for name, (etag, part) in seen.items()}
    parts = {name: part if part.failed else replace(part, etag=etag) for name, (etag, part) in shown.items()}
    chosen = periods.chosen(request.GET, now)
    context = {
        "parts": parts,
        "title": parts["tiles"].title or NO_TITLE,
        "now": now,
        "address": request.build_absolute_uri(reverse("dashboard:home")),
        "card": request.build_absolute_uri(reverse("dashboard:card", args=[chosen.choice.bucket.value])),
        "link": request.build_absolute_uri(),
        "fixed": _fixed(request, chosen),
        "frames": [(PANELS[name].title, _frame(request, name)) for name in FRAMED],
        "periods": periods.CHOICES,
        "chosen": None if chosen.range else chosen.choice,
        "others": [(key, value) for key, value in request.GET.items() if key not in ("period", periods.RANGE)],
    }
    response = render(request, template, context)
    if any(part.failed for part in parts.values()):
        response.headers["ETag"] = make_etag([part.html for part in parts.values()])
    return response
