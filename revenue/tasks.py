"""The Celery tasks of the ledger: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from ops.runs import run_quietly
from revenue import services


@shared_task
def sync_revenue() -> None:
    run_quietly(services.sync_revenue)


@shared_task
def backfill_app_names() -> None:
    run_quietly(services.backfill_app_names)


@shared_task
def backfill_usd() -> None:
    run_quietly(services.backfill_usd)


@shared_task
def refresh_price() -> None:
    run_quietly(services.refresh_price)


@shared_task
def audit_revenue() -> None:
    run_quietly(services.audit_revenue)


@shared_task
def prune() -> None:
    run_quietly(services.prune)
