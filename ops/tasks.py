"""The Celery tasks of jobs, alerts and backups: thin, safe to run twice, safe to kill."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.db import DatabaseError

from ops import leases
from ops.alerts import services
from ops.backup import services as backup_services
from ops.jobs import runner
from ops.jobs.scheduled import run_quietly, task_of

log = structlog.get_logger(__name__)

LONGEST_JOB_S = 3 * 3600  # a full sync of years; the message may come again meanwhile, the claim refuses it


@shared_task(soft_time_limit=LONGEST_JOB_S, time_limit=LONGEST_JOB_S + 60)
def run_job(job_id: int) -> None:
    try:
        runner.run_job(job_id)
    except DatabaseError as error:  # resend_jobs finds what is left
        log.warning("job_left_by_database", job=job_id, error=type(error).__name__)


@shared_task
def resend_jobs() -> None:
    try:
        runner.resend_jobs(now=leases.database_now())
    except DatabaseError as error:
        log.warning("jobs_not_resent", error=type(error).__name__)


@shared_task
def check_alerts() -> None:
    run_quietly(services.check_alerts)


@shared_task(soft_time_limit=100, time_limit=120)
def send_alerts() -> None:
    """Send alerts in a task of its own: a webhook that hangs delays nothing else."""
    run_quietly(services.send_alerts)


@shared_task(soft_time_limit=40, time_limit=60)
def ping_heartbeat() -> None:
    run_quietly(services.ping_heartbeat)


backup = task_of(backup_services.backup)
