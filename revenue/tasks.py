"""Define the ledger's Celery tasks: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from ops.jobs.task_helpers import run_quietly, task_of
from ops.schedule_rows import scheduled
from revenue import jobs

sync_revenue = task_of(
    jobs.sync_revenue,
    timedelta(minutes=5),
    "Payments from the chain, then names and USD of new and recent payments.",
)
audit_revenue = task_of(
    jobs.audit_revenue, timedelta(hours=4), "The last 4,320 blocks of the ledger against the chain."
)
prune = task_of(jobs.prune, timedelta(days=1), "The retention policy.")
backfill_app_names = task_of(jobs.backfill_app_names)
backfill_usd = task_of(jobs.backfill_usd)


@shared_task
@scheduled(timedelta(minutes=5), "The FLUX price.")
def refresh_price() -> None:
    run_quietly(jobs.refresh_price)


@shared_task
@scheduled(timedelta(minutes=1), "Payments without enough confirmations to count.")
def read_pending() -> None:
    run_quietly(jobs.read_pending)
