"""Whether each tracked game and crypto node still runs, by the instances that were counted.

Nobody asks the servers: they are other people's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from metrics.catalogue import Number, tracked_apps
from metrics.latest import Latest
from metrics.models import Reading, Source
from ops.checks import Finding, Status

WEEK, HOUR = timedelta(days=7), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Week:
    """The readings of the last 7 days but the last hour, of one app."""

    readings: int = 0
    sum: Number = 0

    @property
    def mean(self) -> float:
        return self.sum / self.readings


def check_instances(now: datetime) -> list[Finding]:
    """One result for each active tracked app. Its kind is its category."""
    apps, latest = tracked_apps(), Latest.load(now)
    is_old = latest.sources[Source.Name.APPS].is_old(now)
    weeks = _weeks([app.column for app in apps], now)
    return [
        Finding(app.category, app.name, *judged(None if is_old else latest.values.get(app.column), weeks[app.column]))
        for app in apps
    ]


def judged(running: Number | None, week: Week) -> tuple[str, None, str]:
    """Status, no latency, and why. `running`: None when nobody has counted for two hours."""
    if running is None:
        return Status.UNKNOWN, None, "not counted within two hours"
    if not week.readings:
        return Status.OK, None, f"{running} running; no readings of the last week to hold against"
    if not week.sum:
        return Status.OK, None, f"{running} running, none ran last week" if running else "none runs, none ran last week"
    usual = f"{week.mean:.1f} ran on average last week"
    if not running:
        return Status.MISSING, None, f"none is left, {usual}"
    status = Status.DEGRADED if running < week.mean / 2 else Status.OK
    return status, None, f"{running} running, {usual}"


def _weeks(columns: Iterable[str], now: datetime) -> dict[str, Week]:
    """One query over about a thousand readings."""
    sums = dict.fromkeys(columns, Week())
    rows = Reading.objects.filter(at__gte=now - WEEK, at__lt=now - HOUR).values_list("values", flat=True)
    for values in rows.iterator():
        for column, week in sums.items():
            if (value := values.get(column)) is not None:
                sums[column] = Week(week.readings + 1, week.sum + value)
    return sums
