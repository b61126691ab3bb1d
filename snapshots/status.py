"""How the daily snapshot stands, from what the checks wrote down."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Max, Min
from django_celery_beat.models import PeriodicTask

from fluxtracker.periods import is_fresh, midnight
from metrics.selectors import OLD
from ops import leases, registry
from ops.alerts.services import installed_at
from ops.health import is_scheduled, iso
from ops.models import TaskState
from ops.runs import ALERT_AFTER
from snapshots.api import serializers
from snapshots.models import Snapshot
from snapshots.selectors import DAY, gaps, last_due
from snapshots.services import LEASE
from snapshots.take import TOTALS_NEEDED, opening

TASK, BEAT_TASK = "check_snapshot", "snapshots.tasks.check_snapshot"
CHECK_LATE = timedelta(minutes=90)  # three checks missed
SNAPSHOT_LATE = timedelta(hours=2)  # after midnight UTC: four checks without a snapshot
LOOKED_BACK = 30  # days

KEYS = ("healthy", "todaySnapshotExists", "consecutiveFailures", "lastCheck", "lastSuccess", "reason")


@registry.health_check("snapshot")
def snapshot_report(now: datetime | None) -> dict[str, Any]:
    """Return the `snapshot` part of `/api/health`. Without a database (`now` None) nobody can know. Few queries."""
    if now is None:
        return dict.fromkeys(KEYS)
    state, exists = _state(), Snapshot.objects.filter(day=now.date()).exists()
    reason = None if state.last_started_at is None else _why_unhealthy(state, exists, now)
    return {
        "healthy": None if state.last_started_at is None else reason is None,
        "todaySnapshotExists": exists,
        "consecutiveFailures": state.consecutive_failures,
        "lastCheck": iso(state.last_started_at),
        "lastSuccess": iso(state.last_success_at),
        "reason": reason,
    }


def status(now: datetime) -> dict[str, Any]:
    """`/api/admin/snapshot-status`."""
    report, state, interval = snapshot_report(now), _state(), _interval_minutes()
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
    """Return days without a row among the last 30, since the first snapshot; newest first. Three queries at most."""
    last = now.date()
    since = last_due(now) - DAY * (LOOKED_BACK - 1)
    oldest = Snapshot.objects.aggregate(day=Min("day"))["day"]
    present = list(Snapshot.objects.filter(day__gte=since).values_list("day", flat=True))
    first = last if oldest is None else max(since, oldest)
    return [serializers.gap(found) for found in gaps(present, first, last, now)[::-1]]


def missing_sentence(now: datetime) -> str:
    """Return that a snapshot is missing, and why; empty: none is, or it is not late yet.

    Until 02:00 UTC yesterday's is looked for: midnight alone heals nothing. An installation made in the course of the
    day has two hours from then on.
    """
    day = now.date() if now - midnight(now.date()) >= SNAPSHOT_LATE else now.date() - DAY
    if Snapshot.objects.filter(day=day).exists():
        return ""
    since = max(midnight(day), installed_at(now))
    if min(now, midnight(day + DAY)) - since < SNAPSHOT_LATE:
        return ""
    return _missing(day, now)


def _missing(day: date, now: datetime) -> str:
    reasons = [gap.reason for gap in gaps((), day, day, now)]
    return f"There is no snapshot of {day}: {reasons[0] if reasons else 'none was taken'}."


def _why_unhealthy(state: TaskState, exists: bool, now: datetime) -> str | None:
    if missing := missing_sentence(now):
        return missing
    if not exists and now - midnight(now.date()) > SNAPSHOT_LATE:
        return _missing(now.date(), now)
    if state.consecutive_failures >= ALERT_AFTER or not is_fresh(state.last_started_at, now, CHECK_LATE):
        return "The check that takes the daily snapshot is late or keeps failing."
    return None


def _state() -> TaskState:
    return TaskState.objects.filter(name=TASK).first() or TaskState(name=TASK)


def _interval_minutes() -> int | None:
    """Return how often the schedule checks; None when it does not, or not at an interval."""
    row = PeriodicTask.objects.filter(task=BEAT_TASK, enabled=True).select_related("interval").first()
    if row is None or row.interval is None:
        return None
    return int(row.interval.schedule.run_every.total_seconds() // 60)
