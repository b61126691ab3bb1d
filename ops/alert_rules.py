"""Raise alerts about tasks, services, schedule, backup and disk, from the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min
from django_celery_beat.models import PeriodicTask

from fluxtracker.periods import is_ahead, is_fresh
from ops import check_results, health, schedule_rows
from ops.alerts import records
from ops.models import ALERT_AFTER, ServiceState, TaskState
from ops.registry import alert_rule
from ops.status import Status

BACKUP = "backup"  # name of its runs and of its schedule row
BACKUP_LATE = timedelta(hours=26)
CATCHES_UP = timedelta(minutes=15)  # without a check of the alerts: this machine was off
DISK_RELIEF = 1.1  # times the limits before it counts as resolved, to avoid repeated alerts at the edge
GB = 1 << 30


def installed_at(now: datetime) -> datetime:
    """Return when the database was created. A new installation is not late with anything yet."""
    first: datetime | None = MigrationRecorder(connection).migration_qs.aggregate(first=Min("applied"))["first"]
    return first or now


@alert_rule
def of_tasks(now: datetime) -> Iterator[Status]:
    """Yield each task that failed three times in a row (docs/contract.md#schedule)."""
    for state in TaskState.objects.filter(consecutive_failures__gte=ALERT_AFTER).order_by("name"):
        yield state.failing


@alert_rule
def of_services(now: datetime) -> Iterator[Status]:
    """Yield each service that failed three checks in a row."""
    yield from map(check_results.failing, ServiceState.objects.filter(consecutive_failures__gte=ALERT_AFTER))


@alert_rule
def of_schedule(now: datetime) -> Iterator[Status]:
    """Yield a problem if tasks did not run for twice their interval. After an outage they may catch up first."""
    looked = TaskState.of("check_alerts").last_success_at
    if looked is not None and not is_fresh(looked, now, CATCHES_UP):
        return
    yield schedule_rows.status(schedule_rows.overdue(now))


@alert_rule
def of_backup(now: datetime) -> Iterator[Status]:
    """Yield a problem if there was no good backup for 26 h although they are scheduled."""
    last = TaskState.of(BACKUP).last_success_at
    is_wanted = PeriodicTask.objects.filter(name=BACKUP, enabled=True).exists()
    if is_wanted and not is_fresh(last or installed_at(now), now, BACKUP_LATE):
        code = "backup_never" if last is None else "backup_in_future" if is_ahead(last, now) else "backup_late"
        yield Status(code, since=last, key="backup")


@alert_rule
def of_disk(now: datetime) -> Iterator[Status]:
    """Yield a problem if the data dir's disk is nearly full."""
    disk = health.disk()
    relief = DISK_RELIEF if records.is_open("disk") else 1
    if disk and disk.is_nearly_full(relief):
        yield Status("disk_nearly_full", facts={"free_gb": disk.free / GB}, key="disk")
