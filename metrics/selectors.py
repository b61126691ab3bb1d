"""Select the latest metrics with their freshness, and one metric over time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any, Literal

from django.db import connection
from django.db.models.fields.json import KeyTransform

from fluxtracker.database import compiled_once
from fluxtracker.periods import is_fresh
from metrics.metric_keys import Number, with_ratios
from metrics.models import Reading, RunningApp, Source
from revenue.models import LivePrice

Status = Literal["ok", "stale", "failed", "never"]

LATE = timedelta(minutes=30)  # three missed collections: no longer `ok`
OLD = timedelta(hours=2)  # comparisons become `stale`, snapshots are refused (docs/contract.md#api)
CENSUS_LATE = timedelta(hours=3)  # three missed


@dataclass(frozen=True, slots=True)
class SourceView:
    """Status of one source. `read_at`: when its values were read, None if never."""

    name: str
    status: Status
    read_at: datetime | None
    tried_at: datetime | None
    error: str | None
    coverage: dict[str, Any] | None
    doubted_since: datetime | None
    """Since when its answers differ too much from these values to be accepted at once."""

    def is_old(self, now: datetime) -> bool:
        """Return whether there is no value, or one over 2 hours old or in the future."""
        return not is_fresh(self.read_at, now, OLD)


@dataclass(frozen=True, slots=True)
class Latest:
    """The last good value of each metric at any age, and the percentages derived from them."""

    values: Mapping[str, Number | None]
    sources: Mapping[str, SourceView]

    @classmethod
    def load(cls, now: datetime) -> Latest:
        """Load the values in two queries."""
        rows = {row.name: row for row in _sources()}
        price = LivePrice.last()
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
        """Return when the oldest of nodes, capacity and containers was read, None if one never was."""
        times = [self.sources[name].read_at for name in (Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS)]
        return None if None in times else min(time for time in times if time)


_sources = compiled_once(lambda: Source.objects.filter(name__in=Source.Name.values))


def census_sources(now: datetime) -> dict[str, SourceView]:
    """Return the states of the census sources. One query."""
    rows = {row.name: row for row in _census()}
    return {name: _view(rows.get(name) or Source(name=name), None, now, CENSUS_LATE) for name in Source.Census.values}


_census = compiled_once(lambda: Source.objects.filter(name__in=Source.Census.values))


@dataclass(frozen=True, slots=True)
class Running:
    """Running apps by lower-case name. `at`: when they were read, None if never."""

    at: datetime | None
    apps: Mapping[str, RunningApp]

    def of(self, app_key: str) -> int | None:
        """Return the app's number of running instances, None if not known."""
        row = self.apps.get(app_key)
        return None if self.at is None else row.instances if row else 0


def running_read_at() -> datetime | None:
    """Return when the running instances were last read."""
    return Source.objects.filter(name=Source.Census.LOCATIONS).values_list("read_at", flat=True).first()


def running_instances(app_keys: Collection[str] | None = None) -> Running:
    """Return the running instances of all apps, or of these, from the last good census. Two queries."""
    rows = RunningApp.objects.order_by()
    return Running(
        running_read_at(),
        {row.app_key: row for row in (rows.filter(pk__in=app_keys) if app_keys is not None else rows)},
    )


def _view(row: Source, price: LivePrice | None, now: datetime, late: timedelta = LATE) -> SourceView:
    read_at, error = row.read_at, row.error
    if row.name == Source.Name.PRICE:  # it is also read separately, every 5 minutes
        read_at = price.read_at if price else None
        error = "" if read_at and row.tried_at and read_at > row.tried_at else error
    coverage = row.coverage if row.implausible_since is None else {**(row.coverage or {}), "doubted": row.doubted}
    if read_at is None:
        status: Status = "failed" if row.tried_at else "never"
    else:
        status = "ok" if not error and is_fresh(read_at, now, late) else "stale"
    return SourceView(row.name, status, read_at, row.tried_at, error or None, coverage, row.implausible_since)


STAMP = """SELECT price.*, tracked.*
    FROM (SELECT max(price_usd), max(read_at) FROM revenue_liveprice) price,
         (SELECT count(*), max(changed_at) FROM metrics_trackedapp) tracked
"""  # the ORM needs two queries, each slower than this one


def metrics_stamp() -> tuple[Any, ...]:
    """Return a stamp that changes with every collection, price and tracked app edit. Two small queries."""
    with connection.cursor() as cursor:
        cursor.execute(STAMP)
        row = cursor.fetchone()
        cursor.execute("SELECT name, tried_at, read_at FROM metrics_source ORDER BY name")
        return (*cursor.fetchall(), *row)


USUAL_POINTS = 2_000
MOST_POINTS = 20_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Step(StrEnum):
    """Distance between two points."""

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
    """Return the finest step with at most about 2,000 points."""
    return next((step for step in Step if span // step.length <= USUAL_POINTS), Step.DAY)


def timeline(key: str, start: datetime, end: datetime, step: Step) -> Iterator[Point]:
    """Return the last value of each step from `start` to `end`, inclusive, omitting empty steps.

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
