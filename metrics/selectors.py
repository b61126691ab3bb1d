"""Select the latest metrics with their freshness, and one metric over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any, Literal

from django.db.models import Count, Max
from django.db.models.fields.json import KeyTransform

from fluxtracker.periods import is_fresh
from metrics.catalogue import Number, with_ratios
from metrics.models import Reading, Source, TrackedApp
from revenue.models import LivePrice

Status = Literal["ok", "stale", "failed", "never"]

LATE = timedelta(minutes=30)  # three collections missed: no longer `ok`
OLD = timedelta(hours=2)  # a comparison says `stale`, a snapshot refuses (docs/contract.md#api)


@dataclass(frozen=True, slots=True)
class SourceView:
    """How one source stands. `read_at`: when its values were read; None when they never were."""

    name: str
    status: Status
    read_at: datetime | None
    tried_at: datetime | None
    error: str | None
    coverage: dict[str, Any] | None
    doubted_since: datetime | None
    """Since when it answers numbers that differ too much from these to be believed at once."""

    def is_old(self, now: datetime) -> bool:
        """Return whether there is no value, or one of more than 2 hours ago or of the future."""
        return not is_fresh(self.read_at, now, OLD)


@dataclass(frozen=True, slots=True)
class Latest:
    """The last good value of each metric, whatever its age, with the percentages that follow from them."""

    values: Mapping[str, Number | None]
    sources: Mapping[str, SourceView]

    @classmethod
    def load(cls, now: datetime) -> Latest:
        """Two queries."""
        rows = {row.name: row for row in Source.objects.all()}
        price = LivePrice.objects.filter(id=1).first()
        values: dict[str, Number | None] = {}
        for row in rows.values():
            if row.name not in (Source.Name.SPECS, Source.Name.PRICE):
                values |= row.values or {}
        if price is not None:
            values["flux_price_usd"] = float(price.price_usd)
        names = [name.value for name in Source.Name]
        views = {name: _view(rows.get(name) or Source(name=name), price, now) for name in names}
        return cls(with_ratios(values), views)

    @property
    def read_at(self) -> datetime | None:
        """Return when the oldest of nodes, capacity and containers was read; None when one never was."""
        times = [self.sources[name].read_at for name in (Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS)]
        return None if None in times else min(time for time in times if time)


def _view(row: Source, price: LivePrice | None, now: datetime) -> SourceView:
    read_at, error = row.read_at, row.error
    if row.name == Source.Name.PRICE:  # it is read by itself, too, every 5 minutes
        read_at = price.read_at if price else None
        error = "" if read_at and row.tried_at and read_at > row.tried_at else error
    coverage = row.coverage if row.implausible_since is None else {**(row.coverage or {}), "doubted": row.doubted}
    if read_at is None:
        status: Status = "failed" if row.tried_at else "never"
    else:
        status = "ok" if not error and is_fresh(read_at, now, LATE) else "stale"
    return SourceView(row.name, status, read_at, row.tried_at, error or None, coverage, row.implausible_since)


def metrics_stamp() -> tuple[Any, ...]:
    """Changes with every collection, price and edit of a tracked app. Three small queries."""
    return (
        tuple(Source.objects.order_by("name").values_list("name", "tried_at", "read_at")),
        LivePrice.objects.values_list("price_usd", "read_at").first(),
        tuple(TrackedApp.objects.aggregate(last=Max("changed_at"), rows=Count("id")).values()),
    )


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
    """Return the finest that stays below about 2,000 points."""
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
