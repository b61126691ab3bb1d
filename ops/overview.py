"""Read the first page of the admin: what is wrong, how each part of the system is, the last jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops import checks, health, schedule
from ops.health import Disk
from ops.models import Alert, Job, ServiceState, TaskState, WorkerSeen
from ops.registry import missing_days
from ops.schedule import Beat
from ops.status import Status, words

LAST_JOBS, MOST_ALERTS, MOST_WORKERS = 8, 20, 10
WORKER_FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Overview:
    """`report` is that of `/api/health` and `statuses` its problems; the other parts are rows."""

    now: datetime
    report: dict[str, Any]
    statuses: tuple[Status, ...]
    missing_days: int
    failing_services: list[ServiceState]
    workers: list[WorkerSeen]
    database_bytes: int
    disk: Disk | None
    alerts: list[Alert]
    beats: list[Beat]
    jobs: list[Job]

    @property
    def problems(self) -> list[str]:
        return [words(status, self.now) for status in self.statuses]

    @property
    def other_problems(self) -> list[str]:
        """Return those that are not among the open alerts."""
        keys = {alert.key for alert in self.alerts}
        return [words(status, self.now) for status in self.statuses if not status.key or status.key not in keys]

    @property
    def running(self) -> list[Job]:
        return [job for job in self.jobs if job.state in Job.ACTIVE]

    @property
    def is_backup_late(self) -> bool:
        return any(status.key in ("backup", "task:backup") for status in self.statuses)


def load(now: datetime) -> Overview:
    """Read all of it, with a fixed number of queries."""
    found = health.look(now)
    states = {state.name: state for state in TaskState.objects.all()}
    return Overview(
        now=now,
        report=found.report,
        statuses=found.problems,
        missing_days=sum(len(days(now)) for days in missing_days),
        failing_services=list(ServiceState.objects.filter(status__in=checks.FAILING)),
        workers=list(WorkerSeen.objects.filter(seen_at__gt=now - WORKER_FORGOTTEN).order_by("-seen_at")[:MOST_WORKERS]),
        database_bytes=health.database_bytes(),
        disk=health.disk(),
        alerts=list(Alert.objects.filter(closed_at=None)[:MOST_ALERTS]),
        beats=schedule.beats(states, now),
        jobs=list(Job.objects.order_by("-id")[:LAST_JOBS]),
    )
