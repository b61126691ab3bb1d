"""What was earned today, yesterday, this week and this month (UTC), from the daily totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fluxtracker import figures
from revenue.models import DailyTotal

NEVER = "No sync has completed yet."


@dataclass(frozen=True, slots=True)
class Earned:
    """The payments of some whole UTC days. `why_unknown` is set when nobody can know them yet."""

    label: str
    first: date
    last: date
    so_far: bool
    revenue_sat: int
    payments: int
    usd_micro: int
    priced: int
    why_unknown: str = ""

    @property
    def unpriced(self) -> int:
        return self.payments - self.priced

    @property
    def why_no_usd(self) -> str:
        """Why there is no dollar sum at all; empty when there is one."""
        return "None of these payments has a price yet." if self.payments and not self.priced else ""


@dataclass(frozen=True, slots=True)
class Earnings:
    today: Earned
    yesterday: Earned
    week: Earned
    month: Earned


def read(now: datetime, completed_at: datetime | None) -> Earnings:
    """One query. `completed_at`: when a sync last reached its tip; days it cannot have seen are unknown."""
    today = now.date()
    yesterday, monday, first = today - timedelta(days=1), today - timedelta(days=now.weekday()), today.replace(day=1)
    days = DailyTotal.objects.between(min(yesterday, monday, first), today).by_day()
    sums = {row["day"]: row for row in days}

    def earned(label: str, start: date, end: date) -> Earned:
        why = _why_unknown(start, end, completed_at, {day for day in sums if start <= day <= end})
        return _add_up(label, start, end, today, sums, why)

    return Earnings(
        today=earned("Today", today, today),
        yesterday=earned("Yesterday", yesterday, yesterday),
        week=earned("This week", monday, today),
        month=earned("This month", first, today),
    )


def _why_unknown(start: date, end: date, completed_at: datetime | None, seen: set[date]) -> str:
    """A zero is only shown for days that a completed sync has looked at."""
    if completed_at is None:
        return NEVER
    if completed_at.date() < start and not seen:
        return f"Not read yet: the last complete sync was on {figures.moment(completed_at)}."
    return ""


def _add_up(
    label: str, first: date, last: date, today: date, sums: Mapping[date, Mapping[str, int]], why: str
) -> Earned:
    rows = [row for day, row in sums.items() if first <= day <= last]
    return Earned(
        label=label,
        first=first,
        last=last,
        so_far=last == today,
        revenue_sat=sum(row["revenue_sat"] for row in rows),
        payments=sum(row["payments"] for row in rows),
        usd_micro=sum(row["usd_micro"] for row in rows),
        priced=sum(row["priced"] for row in rows),
        why_unknown=why,
    )
