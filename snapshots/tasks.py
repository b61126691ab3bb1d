"""Define the snapshots' Celery tasks: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from ops.jobs.task_helpers import run_quietly
from ops.registry import changed
from ops.schedule_rows import scheduled
from snapshots import jobs


@shared_task
@scheduled(timedelta(minutes=30), "Takes the day's snapshot once it is 00:05 UTC.")
def check_snapshot() -> None:
    run_quietly(jobs.check_snapshot)
    changed()  # time has passed, even if no sync or collection succeeds
