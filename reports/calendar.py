"""Name calendar periods in URLs and titles: 2026-10-05, 2026-W41, 2026-10, 2026-Q3, 2026."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from fluxtracker.formatting import day as shown_day
from fluxtracker.periods import DAY, Bucket, Period, midnight, read_key
from fluxtracker.ranges import EARLIEST, LATEST


def containing(bucket: Bucket, day: date) -> Period:
    """Return the calendar period of the UTC day."""
    return Period.containing(bucket, midnight(day))


def last_completed(bucket: Bucket, now: datetime) -> Period:
    """Return the last completed period."""
    return Period.containing(bucket, now).previous()


def is_over(period: Period, now: datetime) -> bool:
    return period.end <= now


def following(period: Period) -> Period:
    """Return the calendar period after this one."""
    return containing(bucket_of(period), period.last_day + DAY)


def bucket_of(period: Period) -> Bucket:
    """Return the period's bucket; ValueError if it is not a calendar period."""
    if period.bucket is None:
        raise ValueError("a report needs a calendar period")
    return period.bucket


def parse(bucket: Bucket, text: str) -> Period | None:
    """Return the period of that name, or the one with that day, None for anything else."""
    unit, day = read_key(text) or (None, None)
    is_day = day is not None and unit in (bucket, Bucket.DAY) and EARLIEST <= day <= LATEST
    return containing(bucket, day) if is_day and day is not None else None


def title(period: Period) -> str:
    """Return the period's title: `October 2026`, `week 41 of 2026`."""
    first = period.first_day
    match bucket_of(period):
        case Bucket.DAY:
            return shown_day(first)
        case Bucket.WEEK:
            year, week, _ = first.isocalendar()
            return f"week {week} of {year}"
        case Bucket.MONTH:
            return f"{first:%B %Y}"
        case Bucket.QUARTER:
            return f"quarter {(first.month + 2) // 3} of {first.year}"
        case Bucket.YEAR:
            return str(first.year)


@dataclass(frozen=True, slots=True)
class Named:
    """A period as shown in answers and pages."""

    bucket: Bucket
    key: str
    title: str
    first_day: date
    last_day: date

    @classmethod
    def of(cls, period: Period) -> Named:
        return cls(bucket_of(period), period.key, title(period), period.first_day, period.last_day)
