"""The last 30 days of every metric on the page, from one query over the snapshots and one over the daily totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.spark import Number, Values
from fluxtracker import money
from metrics.catalogue import with_ratios
from metrics.latest import Latest
from revenue.reports import Sums, Totals, daily
from snapshots.compare import COLUMNS
from snapshots.models import Snapshot

DAYS = 30


@dataclass(frozen=True, slots=True)
class Sparks:
    """A value for each of the 30 days before today and today's, by metric; None where nobody knows."""

    days: tuple[Mapping[str, Number | None], ...]

    def of(self, metric: str) -> Values:
        return tuple(day.get(metric) for day in self.days)


def network(latest: Latest, now: datetime) -> Sparks:
    """Of the metrics that snapshots have; today as last read."""
    days = [now.date() - timedelta(days=back) for back in range(DAYS, 0, -1)]
    rows = Snapshot.objects.filter(day__gte=days[0], day__lte=days[-1]).values_list("day", "counts", *COLUMNS)
    found = {day: with_ratios(counts | dict(zip(COLUMNS, columns, strict=True))) for day, counts, *columns in rows}
    return Sparks((*(found.get(day, {}) for day in days), latest.values))


def revenue(now: datetime) -> Sparks:
    """Of complete days only: neither today nor a day that the chain as read has not left behind."""
    totals = Totals.load(now.date() - timedelta(days=DAYS), now.date())
    days = daily(totals, now.date(), DAYS + 1, now)[:-1]
    return Sparks(tuple(_earned(row.sums) if row.complete else {} for row in days))


def _earned(sums: Sums) -> Mapping[str, Number | None]:
    return {
        "revenue_flux": None if sums.revenue_sat is None else money.flux(sums.revenue_sat),
        "revenue_usd": money.usd(sums.usd_micro),
        "payments": sums.payments,
    }
