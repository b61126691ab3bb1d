"""Define calendar periods, buckets and staleness in UTC. Periods are half-open; weeks start on Monday.

Times in the future, from a clock that ran ahead, count as stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

DAY = timedelta(days=1)


class Bucket(StrEnum):
    """A calendar unit. Weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"

    @property
    def letter(self) -> str:
        return self.value[0].upper()

    @property
    def adverb(self) -> str:
        return "daily" if self == Bucket.DAY else f"{self.value}ly"

    @classmethod
    def of_letter(cls, letter: str) -> Bucket:
        """Return the bucket of a letter. KeyError if there is none."""
        return {bucket.letter: bucket for bucket in cls}[letter]


@dataclass(frozen=True, slots=True)
class Period:
    """The time from `start` up to, but excluding, `end`. Calendar periods are whole days."""

    start: datetime
    end: datetime
    bucket: Bucket | None = None
    """Calendar that it belongs to; None for any other stretch of time."""

    @classmethod
    def containing(cls, bucket: Bucket, moment: datetime) -> Period:
        """Return the calendar period that contains `moment`."""
        first = _first_day(bucket, moment.astimezone(UTC).date())
        return cls(midnight(first), midnight(_next_first_day(bucket, first)), bucket)

    @classmethod
    def of_days(cls, first: date, last: date) -> Period:
        """Return the UTC days `first` to `last`, inclusive."""
        return cls(midnight(first), midnight(last + DAY))

    def previous(self) -> Period:
        """Return the previous calendar period or, for other spans, the same time right before."""
        if self.bucket is None:
            return Period(self.start - (self.end - self.start), self.start)
        return Period.containing(self.bucket, self.start - DAY)

    def to_date(self, now: datetime) -> Period:
        """Return this period up to `now`, not beyond its end."""
        return Period(self.start, max(self.start, min(now, self.end)), self.bucket)

    def cut_like(self, other: Period, now: datetime) -> Period:
        """Return this period cut at the elapsed time of `other` at `now`, not beyond its own end."""
        elapsed = other.to_date(now).end - other.start
        return Period(self.start, min(self.start + elapsed, self.end), self.bucket)

    @property
    def first_day(self) -> date:
        return self.start.date()

    @property
    def last_day(self) -> date:
        """Return the last UTC day in the period."""
        return max(self.start, self.end - timedelta(microseconds=1)).date()

    @property
    def key(self) -> str:
        """Return its name in URLs: 2026, 2026-Q4, 2026-10, 2026-W41, 2026-10-05. See `read_key`."""
        day = self.first_day
        match self.bucket:
            case Bucket.WEEK:
                year, week, _ = day.isocalendar()
                return f"{year}-W{week:02}"
            case Bucket.MONTH:
                return f"{day:%Y-%m}"
            case Bucket.QUARTER:
                return f"{day.year}-Q{(day.month + 2) // 3}"
            case Bucket.YEAR:
                return str(day.year)
        return day.isoformat()

    def days(self) -> Iterator[date]:
        """Yield every UTC day in the period, oldest first."""
        day, last = self.first_day, self.last_day
        while day <= last:
            yield day
            day += DAY


KEY = re.compile(r"([0-9]{4})(?:-(?:Q([1-4])|W([0-9]{2})|([0-9]{2})(?:-([0-9]{2}))?))?", re.ASCII)


def read_key(text: str) -> tuple[Bucket, date] | None:
    """Return the unit and first day of a period's name, None for anything else."""
    match = KEY.fullmatch(text)
    if match is None:
        return None
    year, quarter, week, month, day = (int(part) if part else None for part in match.groups())
    try:
        if week is not None:
            return Bucket.WEEK, date.fromisocalendar(year or 0, week, 1)
        if quarter is not None:
            return Bucket.QUARTER, date(year or 0, 3 * quarter - 2, 1)
        bucket = Bucket.YEAR if month is None else Bucket.MONTH if day is None else Bucket.DAY
        return bucket, date(year or 0, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None


def midnight(day: date) -> datetime:
    """Return the instant at which the UTC day begins."""
    return datetime.combine(day, time(), UTC)


def _first_day(bucket: Bucket, day: date) -> date:
    match bucket:
        case Bucket.DAY:
            return day
        case Bucket.WEEK:
            return day - timedelta(days=day.weekday())
        case Bucket.MONTH:
            return day.replace(day=1)
        case Bucket.QUARTER:
            return date(day.year, day.month - (day.month - 1) % 3, 1)
        case Bucket.YEAR:
            return date(day.year, 1, 1)


def _next_first_day(bucket: Bucket, first: date) -> date:
    """Return the first day of the period after the one that begins on `first`."""
    longest = {
        Bucket.DAY: 1,
        Bucket.WEEK: 7,
        Bucket.MONTH: 31,
        Bucket.QUARTER: 92,
        Bucket.YEAR: 366,
    }[bucket]
    return _first_day(bucket, first + timedelta(days=longest))


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive days, inclusive. `cut`: the range has only part of the calendar week or month."""

    first: date
    last: date
    cut: bool = False

    def days(self) -> list[date]:
        return [self.first + DAY * number for number in range((self.last - self.first).days + 1)]

    def back(self, days: int) -> Span:
        """Return the same number of days, this many days earlier."""
        return Span(self.first - DAY * days, self.last - DAY * days, self.cut)


def split(first: date, last: date, bucket: Bucket) -> list[Span]:
    """Return the range in buckets, oldest first; those at its ends are cut to the range."""
    if bucket == Bucket.DAY:
        return [Span(day, day) for day in Span(first, last).days()]
    spans, day = [], first
    while day <= last:
        whole = Period.containing(bucket, midnight(day))
        end = min(whole.last_day, last)
        spans.append(Span(day, end, cut=(day, end) != (whole.first_day, whole.last_day)))
        day = end + DAY
    return spans


AHEAD = timedelta(minutes=2)  # allowed difference between clocks of machines


def is_fresh(at: datetime | None, now: datetime, limit: timedelta) -> bool:
    """Return whether it was at most `limit` ago, and not in the future. None: never."""
    return at is not None and at - now <= AHEAD and now - at <= limit


def is_ahead(at: datetime | None, now: datetime) -> bool:
    """Return whether it is in the future, written by a wrong clock."""
    return at is not None and at - now > AHEAD
