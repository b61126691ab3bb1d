"""Calendar periods in UTC, half-open: `start` belongs to a period, `end` does not. No Django here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

DAY = timedelta(days=1)


class Length(StrEnum):
    """How long a calendar period is. Weeks begin on Monday."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True)
class Period:
    """The time from `start` up to, but not including, `end`. Whole days for calendar periods."""

    start: datetime
    end: datetime
    length: Length | None = None
    """Which calendar it belongs to; None for any other stretch of time."""

    @classmethod
    def containing(cls, length: Length, moment: datetime) -> Period:
        """The calendar period that `moment` lies in."""
        first = _first_day(length, moment.astimezone(UTC).date())
        return cls(midnight(first), midnight(_next_first_day(length, first)), length)

    @classmethod
    def of_days(cls, first: date, last: date) -> Period:
        """The UTC days `first` to `last`, both included."""
        return cls(midnight(first), midnight(last + DAY))

    def previous(self) -> Period:
        """The calendar period before this one; for any other stretch, the same time right before it."""
        if self.length is None:
            return Period(self.start - (self.end - self.start), self.start)
        return Period.containing(self.length, self.start - DAY)

    def to_date(self, now: datetime) -> Period:
        """This period as far as it has gone, never beyond its end."""
        return Period(self.start, max(self.start, min(now, self.end)), self.length)

    def cut_like(self, other: Period, now: datetime) -> Period:
        """This period cut at the same elapsed time as `other` has at `now`, clamped to its own end."""
        elapsed = other.to_date(now).end - other.start
        return Period(self.start, min(self.start + elapsed, self.end), self.length)

    @property
    def first_day(self) -> date:
        return self.start.date()

    @property
    def last_day(self) -> date:
        """The last UTC day that has a part in the period."""
        return max(self.start, self.end - timedelta(microseconds=1)).date()

    def days(self) -> Iterator[date]:
        """Every UTC day that has a part in the period, oldest first."""
        day = self.first_day
        while day <= self.last_day:
            yield day
            day += DAY


def midnight(day: date) -> datetime:
    """The instant at which the UTC day begins."""
    return datetime.combine(day, time(), UTC)


def _first_day(length: Length, day: date) -> date:
    match length:
        case Length.DAILY:
            return day
        case Length.WEEKLY:
            return day - timedelta(days=day.weekday())
        case Length.MONTHLY:
            return day.replace(day=1)
        case Length.QUARTERLY:
            return date(day.year, day.month - (day.month - 1) % 3, 1)
        case Length.YEARLY:
            return date(day.year, 1, 1)


def _next_first_day(length: Length, first: date) -> date:
    """First day of the period after the one that begins on `first`."""
    longest = {
        Length.DAILY: 1,
        Length.WEEKLY: 7,
        Length.MONTHLY: 31,
        Length.QUARTERLY: 92,
        Length.YEARLY: 366,
    }[length]
    return _first_day(length, first + timedelta(days=longest))
