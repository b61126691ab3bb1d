"""The Celery tasks of the snapshots: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from ops.jobs.scheduled import run_quietly
from ops.registry import changed
from snapshots import services


@shared_task
def check_snapshot() -> None:
    run_quietly(services.check_snapshot)
    changed()  # the clock has gone on, also where no sync and no collection gets through
