"""The Celery tasks of the ledger: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from ops.runs import run_quietly
from revenue import services

sync_revenue = services.sync_revenue.task()
backfill_app_names = services.backfill_app_names.task()
backfill_usd = services.backfill_usd.task()
audit_revenue = services.audit_revenue.task()
prune = services.prune.task()


@shared_task
def refresh_price() -> None:
    run_quietly(services.refresh_price)
