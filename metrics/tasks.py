"""The Celery tasks of this room: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from metrics import doors
from ops.quiet import run_quietly


@shared_task
def collect_metrics() -> None:
    run_quietly(doors.collect_metrics)


@shared_task
def check_services() -> None:
    run_quietly(doors.check_services)
