"""Describe a year of days, and how one day's snapshot was made or why it is missing."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, cast

from django.db.models import Max, Min

from fluxtracker.periods import DAY, Span, midnight
from ops.models import TaskRun
from revenue.models import DailyPrice
from revenue.selectors import Totals
from snapshots.models import ImageDay, Refusal, Snapshot
from snapshots.selectors import Gap, gaps, last_due
from snapshots.take import COLUMNS

State = Literal["taken", "backfilled", "import", "simulated", "missing", "due", "before", "ahead"]

LETTERS: dict[State, str] = {
    "taken": "T", "backfilled": "B", "import": "I", "simulated": "S", "missing": "×", "due": "…",
}  # fmt: skip
WORDS: dict[State, str] = {
    "taken": "taken",
    "backfilled": "made later, from the ledger and the history of node counts",
    "import": "from the tracker that was replaced",
    "simulated": "simulated",
    "missing": "missing",
    "due": "not due yet",
    "before": "before the first snapshot",
    "ahead": "to come",
}


@dataclass(frozen=True, slots=True)
class Day:
    """`reason`: why it is missing; empty for other days."""

    day: date
    state: State
    reason: str = ""

    @property
    def letter(self) -> str:
        return LETTERS.get(self.state, "")

    @property
    def words(self) -> str:
        return f"{WORDS[self.state]}: {self.reason}" if self.reason else WORDS[self.state]

    @property
    def has_story(self) -> bool:
        """Return whether there is more to say of it: all days but those outside of the history."""
        return self.state not in ("before", "ahead")


@dataclass(frozen=True, slots=True)
class Year:
    """`before` and `after`: the next years that have days, None at the ends."""

    year: int
    months: list[tuple[date, list[list[Day | None]]]]
    """The first of each month and its weeks from Monday; None is a day of another month."""
    missing: list[Day]
    counts: list[tuple[State, str, str, int]]
    """State, letter, words and how many days; only those that there are."""
    before: int | None
    after: int | None


def load_year(year: int, now: datetime) -> Year:
    """Three queries at most."""
    ends = Snapshot.objects.aggregate(first=Min("day"), last=Max("day"))
    oldest = ends["first"] or now.date()
    rows = Snapshot.objects.filter(day__year=year).order_by("day").values_list("day", "source")
    found = {day: cast("State", source) for day, source in rows}
    whole = Span(date(year, 1, 1), date(year, 12, 31))
    lost = {gap.day: gap for gap in gaps(found, max(whole.first, oldest), min(whole.last, now.date()), now)}
    days = {day: _day(day, found, lost, oldest, now) for day in whole.days()}
    return Year(
        year,
        [(date(year, month, 1), _weeks(year, month, days)) for month in range(1, 13)],
        [day for day in days.values() if day.state == "missing"],
        _counts(days),
        year - 1 if oldest.year < year else None,
        year + 1 if year < now.year else None,
    )


def _day(day: date, found: Mapping[date, State], lost: Mapping[date, Gap], oldest: date, now: datetime) -> Day:
    if day in found:
        return Day(day, found[day])
    if day in lost:
        return Day(day, "missing", lost[day].reason)
    if day > now.date():
        return Day(day, "ahead")
    return Day(day, "due" if day > last_due(now) else "before")


def _weeks(year: int, month: int, days: Mapping[date, Day]) -> list[list[Day | None]]:
    weeks = calendar.Calendar().monthdatescalendar(year, month)
    return [[days[day] if day.month == month else None for day in week] for week in weeks]


def _counts(days: Mapping[date, Day]) -> list[tuple[State, str, str, int]]:
    count = Counter(day.state for day in days.values())
    return [(state, letter, WORDS[state], count[state]) for state, letter in LETTERS.items() if count[state]]


WRITERS = ("take_snapshot", "check_snapshot", "backfill_snapshots")
MOST_RUNS = 20


def load_day(day: date, now: datetime) -> dict[str, Any]:
    """Return what is known of a day. Nine queries at most.

    `made_by` is None where the run's record is gone, or where an import or the demo made the day.
    """
    row = Snapshot.objects.filter(day=day).first()
    missing = [] if row else gaps([], day, day, now)
    return {
        "day": day,
        "snapshot": row,
        "reason": missing[0].reason if missing else "",
        "made_by": _made_by(row) if row else None,
        "unknown": sorted(column.key for column in COLUMNS if row and getattr(row, column.key) is None),
        "refusal": Refusal.objects.filter(day=day).first(),
        "runs": _runs(day),
        "revenue_sat": Totals.load(day, day).of([day]).revenue_sat,
        "price": DailyPrice.objects.filter(day=day).first(),
        "images": ImageDay.objects.filter(day=day).count(),
        "before": day - DAY,
        "after": day + DAY if day < now.date() else None,
    }


def _made_by(row: Snapshot) -> TaskRun | None:
    at_work = TaskRun.objects.filter(name__in=WRITERS, started_at__lte=row.made_at, finished_at__gte=row.made_at)
    return at_work.order_by("-started_at").first()


def _runs(day: date) -> list[TaskRun]:
    """Return the day's runs that made something or failed, newest first; most checks find nothing to do."""
    span = TaskRun.objects.filter(name__in=WRITERS, started_at__gte=midnight(day), started_at__lt=midnight(day + DAY))
    found = [run for run in span.order_by("-started_at") if not run.ok or (run.report or {}).get("created")]
    return found[:MOST_RUNS]
