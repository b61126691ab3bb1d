"""The Celery tasks of the snapshots: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from ops.after import changed
from ops.quiet import run_quietly
from snapshots import doors


@shared_task
def check_snapshot() -> None:
    run_quietly(doors.check_snapshot)
    changed()  # the clock has gone on, also where no sync and no collection gets through
