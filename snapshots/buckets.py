"""Days put together to weeks and months (UTC, weeks from Monday). No Django here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from fluxtracker.periods import Length, Period, midnight

DAY = timedelta(days=1)


class Bucket(StrEnum):
    """What one point of a series stands for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


LENGTHS = {Bucket.WEEK: Length.WEEKLY, Bucket.MONTH: Length.MONTHLY}


@dataclass(frozen=True, slots=True)
class Span:
    """Some days in a row, both ends included. `cut`: the range holds only a part of the calendar week or month."""

    first: date
    last: date
    cut: bool = False

    def days(self) -> list[date]:
        return [self.first + DAY * number for number in range((self.last - self.first).days + 1)]

    def back(self, days: int) -> Span:
        """As many days, so many days earlier."""
        return Span(self.first - DAY * days, self.last - DAY * days, self.cut)


def split(first: date, last: date, bucket: Bucket) -> list[Span]:
    """The range in buckets, oldest first; those at its ends hold only what lies in the range."""
    if bucket == Bucket.DAY:
        return [Span(day, day) for day in Span(first, last).days()]
    spans, day = [], first
    while day <= last:
        whole = Period.containing(LENGTHS[bucket], midnight(day))
        end = min(whole.last_day, last)
        spans.append(Span(day, end, cut=(day, end) != (whole.first_day, whole.last_day)))
        day = end + DAY
    return spans
