"""Days without a snapshot, and why. A gap is told, never closed with zeros."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fluxtracker.periods import midnight
from snapshots.models import Refusal

DAY = timedelta(days=1)
DUE_AFTER = timedelta(minutes=35)  # 00:05 and a check's interval: from then on today counts as missing
NO_CHECK = "no check ran on that day"
NOT_YET = "no snapshot has been taken yet today"


@dataclass(frozen=True, slots=True)
class Gap:
    """A day without a snapshot."""

    day: date
    reason: str


def last_due(now: datetime) -> date:
    """The newest day that must have a snapshot: today from 00:35 UTC on, before that yesterday."""
    today = now.date()
    return today if now >= midnight(today) + DUE_AFTER else today - DAY


def days_between(first: date, last: date) -> Iterator[date]:
    """Both included, oldest first; none when `last` lies before `first`."""
    return (first + DAY * n for n in range((last - first).days + 1))


def missing_days(present: Collection[date], first: date, last: date) -> list[date]:
    """The days from `first` to `last` that are not among the present, oldest first."""
    there = set(present)
    return [day for day in days_between(first, last) if day not in there]


def gaps(present: Collection[date], first: date, last: date, now: datetime) -> list[Gap]:
    """The days that should have a snapshot and have none, oldest first. At most one query."""
    days = missing_days(present, first, min(last, last_due(now)))
    if not days:
        return []
    refusals = dict(Refusal.objects.filter(day__gte=days[0], day__lte=days[-1]).values_list("day", "reason"))
    return [Gap(day, refusals.get(day) or (NOT_YET if day == now.date() else NO_CHECK)) for day in days]
