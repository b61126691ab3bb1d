"""One metric over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from django.db.models.fields.json import KeyTransform

from metrics.catalogue import Number
from metrics.models import Reading

USUAL_POINTS = 2_000
MOST_POINTS = 20_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Step(StrEnum):
    """How far two points are apart."""

    TEN_MINUTES = "10m"
    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        return {Step.TEN_MINUTES: timedelta(minutes=10), Step.HOUR: timedelta(hours=1)}.get(self, timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Point:
    at: datetime
    value: Number


def usual_step(span: timedelta) -> Step:
    """The finest that stays below about 2,000 points."""
    return next((step for step in Step if span // step.length <= USUAL_POINTS), Step.DAY)


def timeline(key: str, start: datetime, end: datetime, step: Step) -> Iterator[Point]:
    """The last value of each step from `start` to `end`, both included; steps without one are absent.

    Steps count from midnight UTC. One query.
    """
    rows = (
        Reading.objects.filter(at__gte=start, at__lte=end, values__has_key=key)
        .order_by("at")
        .values_list("at", KeyTransform(key, "values"))
    )
    known = (Point(at, value) for at, value in rows if value is not None)
    for _, points in groupby(known, key=lambda point: (point.at - EPOCH) // step.length):
        *_, last = points
        yield last
