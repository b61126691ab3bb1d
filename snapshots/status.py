"""Report the status of the daily snapshot, from the checks' records."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Max, Min
from django_celery_beat.models import PeriodicTask

from fluxtracker.periods import DAY, is_fresh, midnight
from fluxtracker.timestamps import iso
from metrics.selectors import OLD
from ops import leases, registry
from ops.alert_rules import installed_at
from ops.api.serializers import SnapshotHealth
from ops.models import TaskState
from ops.registry import States
from ops.schedule_rows import is_scheduled
from ops.status import OK, Part, Status, words
from snapshots.api import serializers
from snapshots.backfill import LEASE
from snapshots.models import Snapshot
from snapshots.selectors import gaps, last_due
from snapshots.take import TOTALS_NEEDED, opening

TASK, BEAT_TASK = "check_snapshot", "snapshots.tasks.check_snapshot"
CHECK_LATE = timedelta(minutes=90)  # three checks missed
SNAPSHOT_LATE = timedelta(hours=2)  # after midnight UTC: four checks without a snapshot
LOOKED_BACK = 30  # days


@registry.health_check("snapshot")
def snapshot_part(now: datetime | None, states: States | None = None) -> Part:
    """Return the `snapshot` part of `/api/health`. `now` None: no database, nothing is known. Few queries."""
    if now is None:
        return Part(dict.fromkeys(SnapshotHealth().fields))
    state, exists = TaskState.of(TASK, states), Snapshot.objects.filter(day=now.date()).exists()
    is_checked = state.last_started_at is not None  # before the first check nothing is late
    status = snapshot_status(state, exists, now) if is_checked else OK
    report = {
        "healthy": status.is_ok if is_checked else None,
        "todaySnapshotExists": exists,
        "consecutiveFailures": state.consecutive_failures,
        "lastCheck": iso(state.last_started_at),
        "lastSuccess": iso(state.last_success_at),
        "reason": words(status, now) or None,
    }
    return Part(report, [status])


def status(now: datetime) -> dict[str, Any]:
    """Return the answer of `/api/admin/snapshot-status`."""
    report, state, interval = snapshot_part(now).report, TaskState.of(TASK), _interval_minutes()
    newest = Snapshot.objects.aggregate(day=Max("day"))["day"]
    return {
        "config": {
            "intervalMinutes": interval,
            "notBefore": f"{opening(now.date()):%H:%M}",
            "maxAgeMinutes": int(OLD.total_seconds() // 60),
            "totalsNeeded": TOTALS_NEEDED,
        },
        "state": {
            "lastCheck": report["lastCheck"],
            "lastSuccess": report["lastSuccess"],
            "consecutiveFailures": report["consecutiveFailures"],
            "lastError": state.last_error or None,
            "isSchedulerRunning": is_scheduled(BEAT_TASK, now),
            "isCheckInProgress": leases.holder_of(LEASE) is not None,
            "lastSnapshotDate": newest and newest.isoformat(),
            "missingDays": missing_days(now),
        },
        "todaySnapshotExists": report["todaySnapshotExists"],
        "todaySnapshotDate": now.date().isoformat() if report["todaySnapshotExists"] else None,
        "isHealthy": report["healthy"],
    }


@registry.missing_days
def missing_days(now: datetime) -> list[dict[str, Any]]:
    """Return days without a row in the last 30, since the first snapshot, newest first. At most three queries."""
    last = now.date()
    since = last_due(now) - DAY * (LOOKED_BACK - 1)
    oldest = Snapshot.objects.aggregate(day=Min("day"))["day"]
    present = list(Snapshot.objects.filter(day__gte=since).values_list("day", flat=True))
    first = last if oldest is None else max(since, oldest)
    return [serializers.MissingDay.write(gap) for gap in gaps(present, first, last, now)[::-1]]


def missing(now: datetime) -> Status:
    """Return the problem of a missing snapshot, with its reason.

    Until 02:00 UTC this checks yesterday's: midnight alone resolves nothing. A new installation has two hours from its
    start.
    """
    day = now.date() if now - midnight(now.date()) >= SNAPSHOT_LATE else now.date() - DAY
    since = max(midnight(day), installed_at(now))
    is_late = min(now, midnight(day + DAY)) - since >= SNAPSHOT_LATE
    return _missing(day, now) if is_late and not Snapshot.objects.filter(day=day).exists() else OK


def _missing(day: date, now: datetime) -> Status:
    reasons = [gap.reason for gap in gaps((), day, day, now)]
    facts = {"day": day, "reason": reasons[0] if reasons else "none was taken"}
    return Status("snapshot_missing", since=midnight(day), facts=facts, key="snapshot")


def snapshot_status(state: TaskState, exists: bool, now: datetime) -> Status:
    """Return problems of today's snapshot, or of the check that takes it."""
    if not (problem := missing(now)).is_ok:
        return problem
    if not exists and now - midnight(now.date()) > SNAPSHOT_LATE:
        return _missing(now.date(), now)
    if state.alerting or not is_fresh(state.last_started_at, now, CHECK_LATE):
        return Status("snapshot_check_late", since=state.last_started_at)
    return OK


def _interval_minutes() -> int | None:
    """Return the interval of the scheduled check, if any."""
    row = PeriodicTask.objects.filter(task=BEAT_TASK, enabled=True).select_related("interval").first()
    if row is None or row.interval is None:
        return None
    return int(row.interval.schedule.run_every.total_seconds() // 60)
