"""The Celery tasks of the ledger: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from ops.quiet import run_quietly
from revenue import doors


@shared_task
def sync_revenue() -> None:
    run_quietly(doors.sync_revenue)


@shared_task
def backfill_app_names() -> None:
    run_quietly(doors.backfill_app_names)


@shared_task
def backfill_usd() -> None:
    run_quietly(doors.backfill_usd)


@shared_task
def refresh_price() -> None:
    run_quietly(doors.refresh_price)


@shared_task
def audit_revenue() -> None:
    run_quietly(doors.audit_revenue)


@shared_task
def prune() -> None:
    run_quietly(doors.prune)
