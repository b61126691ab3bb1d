"""A year of days for people: which have a snapshot, what made it, which are missing and why."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, cast

from django.db.models import Max, Min

from snapshots.gaps import Gap, gaps, last_due
from snapshots.models import Snapshot

State = Literal["taken", "backfilled", "import", "simulated", "missing", "due", "before", "ahead"]

LETTERS: dict[State, str] = {
    "taken": "T", "backfilled": "B", "import": "I", "simulated": "S", "missing": "×", "due": "…",
}  # fmt: skip
WORDS: dict[State, str] = {
    "taken": "taken",
    "backfilled": "made later, from the ledger and the history of node counts",
    "import": "from the tracker that was replaced",
    "simulated": "made up, for the demo",
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
    def is_told(self) -> bool:
        """Whether there is more to say of it: all days but those outside of the history."""
        return self.state not in ("before", "ahead")


@dataclass(frozen=True, slots=True)
class Month:
    """`weeks` begin on Mondays; None stands for a day of another month."""

    first: date
    weeks: list[list[Day | None]]


@dataclass(frozen=True, slots=True)
class Year:
    """`before` and `after`: the next years that have days, None at the ends."""

    year: int
    months: list[Month]
    missing: list[Day]
    counts: list[tuple[State, str, str, int]]
    """State, letter, words and how many days; only those that there are."""
    before: int | None
    after: int | None


def load(year: int, now: datetime) -> Year:
    """Three queries at most."""
    ends = Snapshot.objects.aggregate(first=Min("day"), last=Max("day"))
    oldest = ends["first"] or now.date()
    rows = Snapshot.objects.filter(day__year=year).order_by("day").values_list("day", "source")
    found = {day: cast("State", source) for day, source in rows}
    there = found.keys()
    lost = gaps(there, max(date(year, 1, 1), oldest), min(date(year, 12, 31), now.date()), now)
    days = _days(year, found, {gap.day: gap for gap in lost}, oldest, now)
    return Year(
        year,
        [_month(year, month, days) for month in range(1, 13)],
        [day for day in days.values() if day.state == "missing"],
        _counts(days),
        year - 1 if oldest.year < year else None,
        year + 1 if year < now.year else None,
    )


def _days(
    year: int, found: Mapping[date, State], lost: Mapping[date, Gap], oldest: date, now: datetime
) -> dict[date, Day]:
    every = (day for month in range(1, 13) for week in _weeks(year, month) for day in week if day.month == month)
    return {day: _day(day, found, lost, oldest, now) for day in every}


def _day(day: date, found: Mapping[date, State], lost: Mapping[date, Gap], oldest: date, now: datetime) -> Day:
    if day in found:
        return Day(day, found[day])
    if day in lost:
        return Day(day, "missing", lost[day].reason)
    if day > now.date():
        return Day(day, "ahead")
    return Day(day, "due" if day > last_due(now) else "before")


def _weeks(year: int, month: int) -> list[list[date]]:
    return calendar.Calendar().monthdatescalendar(year, month)


def _month(year: int, month: int, days: Mapping[date, Day]) -> Month:
    weeks = [[days[day] if day.month == month else None for day in week] for week in _weeks(year, month)]
    return Month(date(year, month, 1), weeks)


def _counts(days: Mapping[date, Day]) -> list[tuple[State, str, str, int]]:
    count = Counter(day.state for day in days.values())
    return [(state, letter, WORDS[state], count[state]) for state, letter in LETTERS.items() if count[state]]
