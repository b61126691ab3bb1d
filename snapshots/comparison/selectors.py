"""Compare the network and its revenue with a day, week, month, quarter or year ago.

Metrics: the latest reading against the snapshot of exactly that many days ago. Revenue: calendar periods, whole and
to date. One set of queries serves all five comparisons.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db.models import Max, Min, Q

from fluxtracker.periods import Length
from metrics.catalogue import Number, Values, tracked_apps, with_ratios
from metrics.models import TrackedApp
from metrics.selectors import Latest
from revenue import selectors
from snapshots.models import Snapshot

FINEST = 6  # decimals of a change: what lies below is noise of binary fractions


@dataclass(frozen=True, slots=True)
class Pair:
    """One metric now and then; None: not known."""

    current: Number | None
    previous: Number | None

    @property
    def change(self) -> Number | None:
        if self.current is None or self.previous is None:
            return None
        change = round(Decimal(str(self.current)) - Decimal(str(self.previous)), FINEST)
        whole = isinstance(self.current, int) and isinstance(self.previous, int)
        return int(change) if whole else float(change) or 0.0  # never -0.0

    @property
    def percentage(self) -> float | None:
        """Return the change in percent of what was before; None when that is 0."""
        if self.change is None or not self.previous:
            return None
        return float(round(Decimal(str(self.change)) * 100 / Decimal(str(self.previous)), 2)) or 0.0

    @property
    def trend(self) -> str | None:
        return None if self.change is None else "neutral" if not self.change else "up" if self.change > 0 else "down"

    @property
    def points(self) -> float | None:
        """For percentages: how many points lie between them."""
        return None if self.change is None else round(float(self.change), 2) or 0.0


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
        """Return how long ago the snapshot is that metrics are held against."""
        return SPANS[self][0]

    @property
    def length(self) -> Length:
        """Return the calendar that revenue goes by."""
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
    totals: selectors.Totals
    to_date: Mapping[Length, selectors.ToDate]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of the five."""

    span: Span
    today: date
    before: Before
    groups: Mapping[str, Mapping[str, Pair]]
    read_at: datetime | None
    """When the oldest of the readings was made; None when one never was."""
    revenue: selectors.Comparison
    to_date: selectors.ToDate
    ledger: selectors.Ledger


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
        to_date=selectors.load({span.length for span in spans}, totals, now),
    )


def compare(span: Span, material: Material, now: datetime) -> Comparison:
    """Return one comparison from what was loaded for it. Asks nothing."""
    before = material.before[span]
    return Comparison(
        span=span,
        today=now.date(),
        before=before,
        groups=_pairs(material.latest.values, before.values, material.tracked),
        read_at=material.latest.read_at,
        revenue=selectors.compare(material.totals, span.length, now),
        to_date=material.to_date[span.length],
        ledger=material.totals.ledger,
    )


def _totals(spans: Iterable[Span], now: datetime) -> selectors.Totals:
    """Return the daily totals from the first day that any of the previous periods has."""
    first = min(selectors.periods(span.length, now)[1].first_day for span in spans)
    return selectors.Totals.load(first, now.date())


def _before(days: Mapping[Span, date]) -> dict[Span, Before]:
    found = {row.day: row for row in Snapshot.objects.filter(day__in=days.values())}
    nearest = _nearest({day for day in days.values() if day not in found})
    return {span: Before(day, found.get(day), nearest.get(day)) for span, day in days.items()}


def _nearest(days: Collection[date]) -> dict[date, date | None]:
    """Return the day with a snapshot that is nearest to each of these, which have none; of two, the earlier."""
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
