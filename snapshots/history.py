"""The history as it is asked for: rows of days, what the ledger says of them, and the days between without a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db.models import Max, Min

from metrics.catalogue import tracked_apps, with_ratios
from metrics.models import TrackedApp
from revenue.reports import DayReport, Totals
from snapshots.gaps import Gap, gaps
from snapshots.models import Snapshot
from snapshots.take import COLUMNS

FIELDS = ("id", "day", "source", "made_at", "read_at", *(column.key for column in COLUMNS), "counts")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which days: None leaves an end open. `limit`: at most so many of the newest."""

    first: date | None = None
    last: date | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class DayRow:
    """A day's columns by name with the percentages, and what the ledger says of the day."""

    values: Mapping[str, Any]
    revenue: DayReport


@dataclass(frozen=True, slots=True)
class History:
    """Newest day first, the days without a row as well."""

    rows: list[DayRow] = field(default_factory=list)
    missing: list[Gap] = field(default_factory=list)
    tracked: list[TrackedApp] = field(default_factory=list)


def load(wanted: Wanted, now: datetime) -> History:
    """Six queries at most, however many days."""
    rows = read_columns(wanted, FIELDS)
    present = [row["day"] for row in rows]
    totals = Totals.load(present[-1], present[0]) if present else None
    shown = [DayRow(with_ratios(row), _revenue(totals, row["day"], now)) for row in rows if totals]
    return History(shown, missing(wanted, present, now), tracked_apps())


def read_columns(wanted: Wanted, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows' columns, newest day first."""
    rows = Snapshot.objects.order_by("-day")
    if wanted.first is not None:
        rows = rows.filter(day__gte=wanted.first)
    if wanted.last is not None:
        rows = rows.filter(day__lte=wanted.last)
    return [dict(zip(names, row, strict=True)) for row in rows.values_list(*names)[: wanted.limit]]


def missing(wanted: Wanted, present: list[date], now: datetime) -> list[Gap]:
    """Days without a row, newest first: of the range asked for, or from the oldest row shown on."""
    last = wanted.last or now.date()
    is_cut = wanted.limit is not None and len(present) == wanted.limit
    oldest = present[-1] if present else last
    first = oldest if is_cut or wanted.first is None else wanted.first
    return gaps(present, first, last, now)[::-1]


def nearest(day: date) -> date | None:
    """The day closest to this one that has a row, the older of two; None when no day has. Two queries."""
    before = Snapshot.objects.filter(day__lte=day).aggregate(day=Max("day"))["day"]
    after = Snapshot.objects.filter(day__gte=day).aggregate(day=Min("day"))["day"]
    there = [found for found in (before, after) if found is not None]
    return min(there, key=lambda found: abs(found - day)) if there else None


def _revenue(totals: Totals, day: date, now: datetime) -> DayReport:
    return DayReport(day, totals.of([day]), totals.ledger.has_all_of(day, now))
