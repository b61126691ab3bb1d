"""Define the snapshots' Celery tasks: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from ops.jobs.task_helpers import give, in_worker, run_quietly
from ops.models import TaskState
from ops.registry import changed, on_change
from ops.schedule_rows import scheduled
from snapshots import jobs
from snapshots.models import Snapshot


@shared_task
@scheduled(timedelta(minutes=30), "Takes the day's snapshot once it is 00:05 UTC.")
def check_snapshot() -> None:
    run_quietly(jobs.check_snapshot)
    changed()  # time has passed, even if no sync or collection succeeds


@on_change.after("collect-metrics")
def check_after_collection() -> None:
    """Ask for the day's snapshot with its first collection: the next scheduled check may be half an hour away."""
    if not in_worker() or Snapshot.objects.filter(day=timezone.now().date()).exists():
        return
    if not TaskState.of("check_snapshot").consecutive_failures:
        give(check_snapshot.name)
