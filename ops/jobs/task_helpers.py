"""Run the Celery tasks of jobs, and request an alert check after a failure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from celery import current_app, current_task, shared_task
from django.db import DatabaseError

from fluxtracker.upstream.http.errors import UpstreamError
from ops import broker
from ops.jobs.runs import NotDone, one_line
from ops.leases import LeaseHeld, LeaseLost
from ops.registry import JobType
from ops.schedule_rows import schedule

log = structlog.get_logger(__name__)

CHECK, SEND = "ops.tasks.check_alerts", "ops.tasks.send_alerts"
EXPIRES_S = 240  # the schedule requests it again by then


def task_of(job: JobType, every: timedelta | None = None, description: str = "") -> Any:
    """Return the Celery task of a job; with `every`, the default schedule sends it."""
    name = f"{job.app}.tasks.{job.run_name}"
    if every:
        schedule(name, every, description)

    def quietly() -> None:
        run_quietly(job)

    return shared_task(name=name)(quietly)


def run_quietly(task: Callable[..., object]) -> None:
    """Run a scheduled task. The run records and logs failures, each of which requests an alert check."""
    try:
        task(trigger="schedule")
    except LeaseHeld as error:
        log.info("task_skipped", reason=str(error))
    except (UpstreamError, LeaseLost, NotDone) as error:
        log.debug("task_ended", reason=str(error))
        ask_for_check()
    except DatabaseError as error:
        log.warning("task_ended_by_database", kind=type(error).__name__, error=one_line(error))
        ask_for_check()
    except Exception:
        ask_for_check()
        raise


def in_worker() -> bool:
    """Return whether this runs in a worker's task, not in a command, a request or a test."""
    request = current_task.request if current_task else None
    return bool(request and not request.called_directly and not request.is_eager)


def ask_for_check() -> None:
    """Request an alert check now. Failures of the alert tasks themselves wait for the next scheduled one."""
    if in_worker() and current_task.name not in (CHECK, SEND):
        give(CHECK)


def give(task: str) -> bool:
    """Send the task to the broker. Return whether it was accepted; otherwise the schedule sends it."""
    try:
        current_app.send_task(task, expires=EXPIRES_S, retry=False)
    except broker.ERRORS as error:
        log.info("task_not_asked_for", task=task, error=type(error).__name__)
        return False
    return True
