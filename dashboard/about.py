"""The page about the data: where each number comes from, how it is counted, what is known to be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard import sources
from dashboard.definitions import Definition, definitions
from metrics.catalogue import COUNT, FIXED, RATIOS, Metric, tracked_apps, tracked_metric
from metrics.models import Source, TrackedApp

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
    return render(request, "dashboard/about.html", _context(now))


def _context(now: datetime) -> dict[str, Any]:
    """Few queries: the sources and the tracked apps."""
    return {
        "now": now,
        "chapters": chapters(tracked_apps()),
        "sources": sources.lines(now),
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
