"""The Celery tasks of the snapshots: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from ops.quiet import run_quietly
from snapshots import doors


@shared_task
def check_snapshot() -> None:
    run_quietly(doors.check_snapshot)
