"""Retention, starting over, and wiping: what an operator or the daily schedule does to the whole ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from django.conf import settings

from ops import checks
from ops.models import TaskRun
from ops.runs import Run
from revenue import ledger
from revenue.models import App, Cursor, DailyTotal, LedgerState, Payment, Quarantined, RemovedPayment

log = structlog.get_logger(__name__)

GRACE_DAYS = 2  # a day is closed only when it is this much older than the retention
RUNS_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class PruneReport:
    transactions: int
    checks: int
    runs: int
    closed_through: date | None


def prune(*, now: datetime, run: Run) -> PruneReport:
    """Delete payments of days past the retention and freeze their totals, a day at a time, oldest first.

    Runs and checks of services are kept for a time of their own. Retention counts back from the last settled block
    that was read, not from a clock that may have jumped since: what is closed stays closed.
    """
    old_checks = checks.prune(now)
    runs, _ = TaskRun.objects.filter(started_at__lt=now - RUNS_KEPT).delete()
    state = LedgerState.known()
    known = state.complete_until
    if not settings.RETENTION_DAYS or known is None:
        return PruneReport(0, old_checks, runs, state.closed_through)
    last = min(now, known).date() - timedelta(days=settings.RETENTION_DAYS + GRACE_DAYS + 1)
    deleted = 0
    for day in list(Payment.objects.filter(day__lte=last).order_by("day").values_list("day", flat=True).distinct()):
        deleted += _close(day, run)
        run.progress(f"closed {day}")
    _close(last, run)
    return PruneReport(deleted, old_checks, runs, LedgerState.load().closed_through)


def _close(day: date, run: Run) -> int:
    """Delete what is left of the day and earlier ones, and freeze their totals."""
    with ledger.writing() as state:
        run.guard()
        rows = Payment.objects.filter(day__lte=day)
        apps = set(rows.exclude(app=None).values_list("app", flat=True).distinct())
        deleted, _ = rows.delete()
        RemovedPayment.objects.filter(day__lte=day).delete()
        ledger.recompute_apps(apps)
        state.closed_through = max(day, state.closed_through or day)
        state.save(update_fields=["closed_through"])
    return deleted


def reset_sync(*, run: Run) -> None:
    """Forget how far the chain was read, so that the next sync reads everything again. Deletes no payment."""
    with ledger.writing():
        run.guard()
        Cursor.objects.all().delete()
    log.info("revenue_sync_reset")


def clear(*, run: Run) -> int:
    """Delete payments, totals, cursors and quarantine. Answers how many payments there were."""
    with ledger.writing() as state:
        run.guard()
        deleted, _ = Payment.objects.all().delete()
        for model in (DailyTotal, Cursor, Quarantined, RemovedPayment):
            model.objects.all().delete()
        App.objects.update(payments=0, revenue_sat=0, usd_micro=0, priced=0, first_paid_at=None, last_paid_at=None)
        LedgerState(id=state.id).save()
    log.info("revenue_data_cleared", deleted=deleted)
    return deleted
