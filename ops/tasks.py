"""The Celery tasks of the alerts: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from ops import alert_doors
from ops.quiet import run_quietly


@shared_task
def check_alerts() -> None:
    run_quietly(alert_doors.check_alerts)


@shared_task(soft_time_limit=100, time_limit=120)
def send_alerts() -> None:
    """On its own, so that a webhook that hangs holds up nothing else for long."""
    run_quietly(alert_doors.send_alerts)
