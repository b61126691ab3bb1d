"""The Celery tasks of the ledger: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from ops.jobs.scheduled import run_quietly, task_of
from revenue import services

sync_revenue = task_of(services.sync_revenue)
backfill_app_names = task_of(services.backfill_app_names)
backfill_usd = task_of(services.backfill_usd)
audit_revenue = task_of(services.audit_revenue)
prune = task_of(services.prune)


@shared_task
def refresh_price() -> None:
    run_quietly(services.refresh_price)


@shared_task
def read_pending() -> None:
    run_quietly(services.read_pending)
