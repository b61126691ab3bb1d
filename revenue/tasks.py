"""The Celery tasks of the ledger: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from celery import shared_task
from django.db import DatabaseError

from fluxtracker.upstream.errors import UpstreamError
from ops.leases import LeaseHeld, LeaseLost
from ops.runs import one_line
from revenue import doors

log = structlog.get_logger(__name__)


def run_quietly(door: Callable[..., object]) -> None:
    """Run a verb on its schedule. What an upstream did wrong is recorded and logged by the run already."""
    try:
        door(trigger="schedule")
    except LeaseHeld as error:
        log.info("task_skipped", reason=str(error))
    except (UpstreamError, LeaseLost) as error:
        log.debug("task_ended", reason=str(error))
    except DatabaseError as error:
        log.warning("task_ended_by_database", error=one_line(error))


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
