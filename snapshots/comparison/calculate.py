"""Compare the network and its revenue with a day, week, month, quarter or year ago.

Metrics: the latest reading against the snapshot of exactly that many days ago. Revenue: calendar periods, whole and
to date. One set of queries serves all five comparisons.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fluxtracker.money import Pair
from fluxtracker.periods import Bucket, is_fresh
from metrics.metric_keys import GROUPS, Values, grouped, tracked_apps, with_ratios
from metrics.models import TrackedApp
from metrics.selectors import OLD, Latest
from revenue import period_totals
from snapshots.models import Snapshot
from snapshots.selectors import nearest

COLUMNS = [metric for group in GROUPS.values() for metric in group.values() if hasattr(Snapshot, metric)]
CLOUD = ("cpu", "ram", "storage")
SHOWN = ("nodes", "cloud", "apps", "gaming", "crypto", "wordpress")


DAYS_BACK = {Bucket.DAY: 1, Bucket.WEEK: 7, Bucket.MONTH: 30, Bucket.QUARTER: 90, Bucket.YEAR: 365}
"""Age of the snapshot that metrics are compared with; revenue uses calendar periods."""


@dataclass(frozen=True, slots=True)
class Before:
    """The snapshot that metrics are compared with or, without one, the nearest day that has one."""

    day: date
    snapshot: Snapshot | None
    nearest: date | None

    @property
    def values(self) -> Values:
        if self.snapshot is None:
            return {}
        counts = {key: value for key, value in self.snapshot.counts.items() if isinstance(value, int)}
        return with_ratios(counts | {name: getattr(self.snapshot, name) for name in COLUMNS})

    @property
    def message(self) -> str | None:
        """Return that there is no snapshot, None if there is."""
        if self.snapshot is not None:
            return None
        if self.nearest is None:
            return f"There is no snapshot of {self.day}, and none of any other day yet."
        return f"There is no snapshot of {self.day}; the nearest day that has one is {self.nearest}."

    @property
    def source(self) -> str | None:
        return self.snapshot.source if self.snapshot else None


@dataclass(frozen=True, slots=True)
class Material:
    """Sources of comparisons."""

    latest: Latest
    tracked: tuple[TrackedApp, ...]
    before: Mapping[Bucket, Before]
    reports: Mapping[Bucket, period_totals.PeriodReport]


Group = Mapping[str, Pair]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of the five comparisons."""

    bucket: Bucket
    now: datetime
    before: Before
    read_at: datetime | None
    """Time of the oldest reading, None if a source was never read."""
    revenue: period_totals.PeriodReport
    nodes: Group
    cloud: Mapping[str, Group]
    apps: Group
    gaming: Group
    crypto: Group
    wordpress: Group

    @property
    def days(self) -> int:
        return DAYS_BACK[self.bucket]

    @property
    def is_partial(self) -> bool:
        return self.before.snapshot is None

    @property
    def is_old(self) -> bool:
        return not is_fresh(self.read_at, self.now, OLD)

    @property
    def missing(self) -> list[str]:
        """Return groups without any previous value: the snapshot is missing, or its source failed that day."""
        groups: dict[str, Collection[Group]] = {name: [getattr(self, name)] for name in SHOWN}
        groups["cloud"] = self.cloud.values()
        return [
            name
            for name, parts in groups.items()
            if all(pair.previous is None for part in parts for pair in part.values())
        ]


def load(buckets: Collection[Bucket], now: datetime) -> Material:
    """Load everything for any number of comparisons in 7 queries, or 8 if a snapshot is missing.

    Call inside `read_snapshot()`, so that the parts are consistent.
    """
    first = min(period_totals.periods(bucket, now)[1].first_day for bucket in buckets)
    totals = period_totals.Totals.load(first, now.date())
    return Material(
        latest=Latest.load(now),
        tracked=tuple(tracked_apps()),
        before=_before({bucket: now.date() - timedelta(days=DAYS_BACK[bucket]) for bucket in buckets}),
        reports={report.bucket: report for report in period_totals.period_reports(buckets, totals, now)},
    )


def compare(bucket: Bucket, material: Material, now: datetime) -> Comparison:
    """Return one comparison from the loaded material, without queries."""
    latest, before = material.latest, material.before[bucket]
    values = before.values

    def pair(metric: str) -> Pair:
        return Pair(latest.values.get(metric), values.get(metric))

    groups = {name: grouped(pair, name, material.tracked) for name in GROUPS}
    cloud = {name: groups.pop(name) for name in CLOUD}
    return Comparison(
        bucket, now, before, latest.read_at, material.reports[bucket], nodes=groups["nodes"], cloud=cloud,
        apps=groups["apps"], gaming=groups["gaming"], crypto=groups["crypto"], wordpress=groups["wordpress"],
    )  # fmt: skip


def _before(days: Mapping[Bucket, date]) -> dict[Bucket, Before]:
    rows = {row.day: row for row in Snapshot.objects.filter(day__in=days.values())}
    near = nearest({day for day in days.values() if day not in rows})
    return {bucket: Before(day, rows.get(day), near.get(day)) for bucket, day in days.items()}
