"""The Celery task of the report: one, and a row of the schedule for each period."""

from __future__ import annotations

from functools import partial

from celery import shared_task

from ops.jobs.scheduled import run_quietly
from reports import services

WAIT_S = 60.0  # the rows of several periods may come at the same time


@shared_task
def send_report(period: str) -> None:
    run_quietly(partial(services.send_report, period=period, wait=WAIT_S))
