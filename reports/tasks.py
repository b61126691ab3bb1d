"""Define the report's Celery task, with one schedule row per kind of period."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from celery import shared_task

from fluxtracker.periods import Bucket
from ops.jobs.task_helpers import run_quietly
from ops.schedule_rows import schedule
from reports import jobs

WAIT_S = 60.0  # the rows of several periods may be due at the same time


@shared_task
def send_report(period: str) -> None:
    run_quietly(partial(jobs.send_report, period=period, wait=WAIT_S))


for bucket in Bucket:
    schedule(
        "reports.tasks.send_report",
        timedelta(hours=1),
        f"Sends the report of the last completed {bucket}, once per channel.",
        arguments={"period": bucket.value},
        enabled=False,
    )
