"""The network and its revenue now, against a day, week, month, quarter or year ago (docs/contract.md#api, Comparison).

Metrics: the latest reading against the snapshot of exactly so many days ago. Revenue: calendar periods, whole and to
date. Everything that any of the five comparisons needs is loaded once, by the same few queries.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from django.db.models import Max, Min, Q

from fluxtracker.periods import Length
from metrics.catalogue import Values, tracked_apps, with_ratios
from metrics.latest import Latest
from metrics.models import TrackedApp
from revenue import reports, todate
from snapshots.compare_pair import Pair
from snapshots.models import Snapshot

GROUPS: Mapping[str, Mapping[str, str]] = {  # group: key in the answer: metric
    "nodes": {
        "total": "node_total",
        "cumulus": "node_cumulus",
        "nimbus": "node_nimbus",
        "stratus": "node_stratus",
    },
    "cpu": {"total": "total_cpu_cores", "used": "used_cpu_cores", "utilization": "cpu_utilization_percent"},
    "ram": {"total": "total_ram_gb", "used": "used_ram_gb", "utilization": "ram_utilization_percent"},
    "storage": {"total": "total_storage_gb", "used": "used_storage_gb", "utilization": "storage_utilization_percent"},
    "apps": {
        "total": "total_apps",
        "watchtower": "watchtower_count",
        "gitapps": "gitapps_count",
        "dockerapps": "dockerapps_count",
    },
    "gaming": {"total": "gaming_apps_total"},
    "crypto": {"total": "crypto_nodes_total"},
    "wordpress": {"count": "wordpress_count"},
}
COLUMNS = [metric for group in GROUPS.values() for metric in group.values() if hasattr(Snapshot, metric)]


class Span(StrEnum):
    """How far back is compared."""

    DAY = "D"
    WEEK = "W"
    MONTH = "M"
    QUARTER = "Q"
    YEAR = "Y"

    @property
    def days(self) -> int:
        """How long ago the snapshot is that metrics are held against."""
        return SPANS[self][0]

    @property
    def length(self) -> Length:
        """The calendar that revenue goes by."""
        return SPANS[self][1]


SPANS = {
    Span.DAY: (1, Length.DAILY),
    Span.WEEK: (7, Length.WEEKLY),
    Span.MONTH: (30, Length.MONTHLY),
    Span.QUARTER: (90, Length.QUARTERLY),
    Span.YEAR: (365, Length.YEARLY),
}


@dataclass(frozen=True, slots=True)
class Before:
    """The snapshot that metrics are held against, and where there is none, the nearest day that has one."""

    day: date
    snapshot: Snapshot | None
    nearest: date | None

    @property
    def values(self) -> Values:
        if self.snapshot is None:
            return {}
        counts = {key: value for key, value in self.snapshot.counts.items() if isinstance(value, int)}
        return with_ratios(counts | {name: getattr(self.snapshot, name) for name in COLUMNS})


@dataclass(frozen=True, slots=True)
class Material:
    """What comparisons are made of."""

    latest: Latest
    tracked: tuple[TrackedApp, ...]
    before: Mapping[Span, Before]
    totals: reports.Totals
    to_date: Mapping[Length, todate.ToDate]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of the five."""

    span: Span
    today: date
    before: Before
    groups: Mapping[str, Mapping[str, Pair]]
    read_at: datetime | None
    """When the oldest of the readings was made; None when one never was."""
    revenue: reports.Comparison
    to_date: todate.ToDate
    ledger: reports.Ledger


def load(spans: Collection[Span], now: datetime) -> Material:
    """Everything these comparisons need, in 7 queries, however many they are (one more when a snapshot is missing).

    Call inside `one_moment()`, so that the parts agree with each other.
    """
    totals = _totals(spans, now)
    return Material(
        latest=Latest.load(now),
        tracked=tuple(tracked_apps()),
        before=_before({span: now.date() - timedelta(days=span.days) for span in spans}),
        totals=totals,
        to_date=todate.load({span.length for span in spans}, totals, now),
    )


def compare(span: Span, material: Material, now: datetime) -> Comparison:
    """One comparison from what was loaded for it. Asks nothing."""
    before = material.before[span]
    return Comparison(
        span=span,
        today=now.date(),
        before=before,
        groups=_pairs(material.latest.values, before.values, material.tracked),
        read_at=material.latest.read_at,
        revenue=reports.compare(material.totals, span.length, now),
        to_date=material.to_date[span.length],
        ledger=material.totals.ledger,
    )


def _totals(spans: Iterable[Span], now: datetime) -> reports.Totals:
    """The daily totals from the first day that any of the previous periods has."""
    first = min(reports.periods(span.length, now)[1].first_day for span in spans)
    return reports.Totals.load(first, now.date())


def _before(days: Mapping[Span, date]) -> dict[Span, Before]:
    found = {row.day: row for row in Snapshot.objects.filter(day__in=days.values())}
    nearest = _nearest({day for day in days.values() if day not in found})
    return {span: Before(day, found.get(day), nearest.get(day)) for span, day in days.items()}


def _nearest(days: Collection[date]) -> dict[date, date | None]:
    """The day with a snapshot that is nearest to each of these, which have none; of two, the earlier."""
    if not days:
        return {}
    ends: dict[str, Max | Min] = {f"before_{day:%Y%m%d}": Max("day", filter=Q(day__lt=day)) for day in days}
    ends |= {f"after_{day:%Y%m%d}": Min("day", filter=Q(day__gt=day)) for day in days}
    found = Snapshot.objects.aggregate(**ends)
    around = {day: (found[f"before_{day:%Y%m%d}"], found[f"after_{day:%Y%m%d}"]) for day in days}
    return {day: _nearer(day, *ends) for day, ends in around.items()}


def _nearer(day: date, before: date | None, after: date | None) -> date | None:
    if before is None or after is None:
        return before or after
    return before if day - before <= after - day else after


def _pairs(now: Values, before: Values, tracked: Iterable[TrackedApp]) -> dict[str, dict[str, Pair]]:
    keys = {name: dict(group) for name, group in GROUPS.items()}
    for app in tracked:
        keys[app.category][app.key] = app.column
    return {
        name: {key: Pair(now.get(metric), before.get(metric)) for key, metric in group.items()}
        for name, group in keys.items()
    }
