"""Define the Celery tasks of jobs, alerts and backups: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from datetime import timedelta

import structlog
from celery import shared_task
from django.db import DatabaseError

from ops import leases
from ops.alerts import services
from ops.backup import services as backup_services
from ops.jobs import worker
from ops.jobs.task_helpers import run_quietly, task_of
from ops.schedule_rows import scheduled

log = structlog.get_logger(__name__)

LONGEST_JOB_S = 3 * 3600  # a full sync of years; a redelivered message is refused by the claim


@shared_task(soft_time_limit=LONGEST_JOB_S, time_limit=LONGEST_JOB_S + 60)
def run_job(job_id: int) -> None:
    try:
        worker.run_job(job_id)
    except DatabaseError as error:  # resend_jobs finds the rest
        log.warning("job_left_by_database", job=job_id, error=type(error).__name__)


@shared_task
@scheduled(timedelta(minutes=1), "Jobs lost by the broker or left by a dead worker.")
def resend_jobs() -> None:
    try:
        worker.resend_jobs(now=leases.database_now())
    except DatabaseError as error:
        log.warning("jobs_not_resent", error=type(error).__name__)


@shared_task
@scheduled(timedelta(minutes=5), "Raises alerts, and closes resolved ones.")
def check_alerts() -> None:
    run_quietly(services.check_alerts)


@shared_task(soft_time_limit=100, time_limit=120)
def send_alerts() -> None:
    """Send alerts in a separate task, so that a hanging webhook delays nothing else."""
    run_quietly(services.send_alerts)


@shared_task(soft_time_limit=40, time_limit=60)
@scheduled(timedelta(minutes=5), "Pings HEARTBEAT_URL while no alert is open.")
def ping_heartbeat() -> None:
    run_quietly(services.ping_heartbeat)


backup = task_of(
    backup_services.backup,
    timedelta(days=1),
    "Everything into a file of the data dir's backups; 7 daily, 4 weekly and 12 monthly ones are kept.",
)
