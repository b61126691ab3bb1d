"""Write to the ledger: rows, totals and cursor in one transaction; prune, reset and clear.

At every commit a DailyTotal of an open day equals the sum of its rows, an App's sums equal the sum of its rows, and
a closed day neither changes nor gets rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from fluxtracker.api.report_serializers import UNDESCRIBED
from fluxtracker.batches import ROWS, chunks
from ops import check_results as ops_checks
from ops.jobs.runs import Run
from ops.models import TaskRun
from ops.registry import around_restore
from revenue.models import (
    App,
    ChangedDay,
    Cursor,
    DailyTotal,
    LedgerState,
    Payment,
    PrunedPayment,
    Quarantined,
    RemovedPayment,
)

log = structlog.get_logger(__name__)

GRACE_DAYS = 2  # a day is closed only once it is this much older than the retention
RUNS_KEPT = timedelta(days=30)


@contextmanager
def locked() -> Iterator[LedgerState]:
    """Open a transaction that excludes all ledger writers, on either engine."""
    with transaction.atomic():
        state = LedgerState.objects.select_for_update().filter(id=1).first()
        yield state or LedgerState.load()


@contextmanager
def writing() -> Iterator[LedgerState]:
    """Open a transaction that excludes other ledger writers, on either engine."""
    with locked() as state:
        yield state
        LedgerState.objects.filter(id=1).update(version=F("version") + 1)


def recompute_days(keys: Collection[tuple[date, str]]) -> None:
    """Recompute the totals of these (day, address) from their rows. Closed days are left unchanged."""
    closed_through = LedgerState.objects.values_list("closed_through", flat=True).get(id=1)
    open_keys = {key for key in keys if closed_through is None or key[0] > closed_through}
    ChangedDay.mark(day for day, _ in open_keys)
    for days in chunks(sorted({day for day, _ in open_keys})):
        rows = Payment.objects.filter(day__in=days).day_sums()
        sums = {(row["day"], row["address"]): row for row in rows}
        batch = {key for key in open_keys if days[0] <= key[0] <= days[-1]}
        DailyTotal.objects.bulk_create(
            [DailyTotal(**sums[key]) for key in batch & sums.keys()],
            update_conflicts=True,
            unique_fields=["day", "address"],
            update_fields=["revenue_sat", "payments", "usd_micro", "priced"],
        )
        for day, address in batch - sums.keys():
            DailyTotal.objects.filter(day=day, address=address).delete()


def app_ids(names: Collection[str]) -> dict[str, int]:
    """Return the ids of the apps with these names, creating missing ones."""
    ids = _known_apps(names)
    new = sorted(set(names) - ids.keys())
    App.objects.bulk_create([App(name=name) for name in new], ignore_conflicts=True, batch_size=ROWS)
    return ids | _known_apps(new)


def _known_apps(names: Collection[str]) -> dict[str, int]:
    rows = (App.objects.filter(name__in=batch).values_list("name", "id") for batch in chunks(sorted(names)))
    return dict(chain.from_iterable(rows))


def recompute_apps(app_ids: Iterable[int]) -> None:
    """Recompute the sums of these apps from their rows."""
    for ids in chunks(sorted(set(app_ids))):
        App.objects.filter(id__in=ids).update(
            payments=Coalesce(_of_app(Count("id")), 0),
            revenue_sat=Coalesce(_of_app(Sum("amount_sat")), 0),
            usd_micro=Coalesce(_of_app(Sum("usd_micro")), 0),
            priced=Coalesce(_of_app(Count("usd_micro")), 0),
            first_paid_at=_of_app(Min("paid_at")),
            last_paid_at=_of_app(Max("paid_at")),
        )


def _of_app(aggregate: Count | Sum | Min | Max) -> Subquery:
    """Return the aggregate over the rows of the outer query's App."""
    rows: QuerySet[Payment] = Payment.objects.filter(app=OuterRef("pk")).order_by()
    return Subquery(rows.values("app").annotate(value=aggregate).values("value"))


@dataclass(frozen=True, slots=True)
class PruneReport:
    transactions: int
    checks: int
    runs: int = field(metadata=UNDESCRIBED)
    closed_through: date | None = field(metadata=UNDESCRIBED)


def prune(*, now: datetime, run: Run) -> PruneReport:
    """Delete payments of days past the retention and freeze their totals, a day at a time, oldest first.

    Runs and service checks have their own retention. Retention counts back from the last settled block read, not
    from a clock that may have jumped, as closing is final.
    """
    old_checks = ops_checks.prune(now)
    runs, _ = TaskRun.objects.filter(started_at__lt=now - RUNS_KEPT).delete()
    last, deleted = _last_to_prune(now), 0
    if last is None:
        return PruneReport(0, old_checks, runs, LedgerState.known().closed_through)
    for day in list(Payment.objects.filter(day__lte=last).order_by("day").values_list("day", flat=True).distinct()):
        deleted += _close(day, run)
        run.progress(f"closed {day}")
    _close(last, run)
    return PruneReport(deleted, old_checks, runs, LedgerState.load().closed_through)


def prunable(now: datetime) -> dict[str, int]:
    """Count what `prune` would delete from the ledger."""
    last = _last_to_prune(now)
    return {"payments": Payment.objects.filter(day__lte=last).count() if last else 0}


def _last_to_prune(now: datetime) -> date | None:
    """Return the last day past the retention, if any."""
    known = LedgerState.known().complete_until
    if not settings.RETENTION_DAYS or known is None:
        return None
    return min(now, known).date() - timedelta(days=settings.RETENTION_DAYS + GRACE_DAYS + 1)


def _close(day: date, run: Run) -> int:
    """Delete remaining payments up to this day and freeze their totals."""
    with writing() as state:
        run.guard()
        rows = Payment.objects.filter(day__lte=day)
        apps = set(rows.exclude(app=None).values_list("app", flat=True).distinct())
        PrunedPayment.objects.bulk_create(
            [PrunedPayment(**row) for row in rows.by_transaction().iterator()], batch_size=ROWS
        )
        deleted, _ = rows.delete()
        RemovedPayment.objects.filter(day__lte=day).delete()
        recompute_apps(apps)
        state.closed_through = max(day, state.closed_through or day)
        state.save(update_fields=["closed_through"])
    return deleted


def reset_sync(*, run: Run) -> None:
    """Reset all cursors, so that the next sync reads everything again. Deletes no payments."""
    with writing():
        run.guard()
        Cursor.objects.all().delete()
    log.info("revenue_sync_reset")


CLEARED = (DailyTotal, Cursor, Quarantined, RemovedPayment, PrunedPayment)  # with the payments


def clearable(now: datetime) -> dict[str, int]:
    """Count what `clear` would delete."""
    return {str(model._meta.verbose_name_plural): model.objects.count() for model in (Payment, *CLEARED)}


def clear(*, run: Run) -> int:
    """Delete payments, totals, cursors and quarantine. Return the number of payments."""
    with writing() as state:
        run.guard()
        ChangedDay.mark(DailyTotal.objects.values_list("day", flat=True).distinct())
        deleted, _ = Payment.objects.all().delete()
        for model in CLEARED:
            model.objects.all().delete()
        App.objects.update(payments=0, revenue_sat=0, usd_micro=0, priced=0, first_paid_at=None, last_paid_at=None)
        LedgerState(id=state.id).save()
    log.info("revenue_data_cleared", deleted=deleted)
    return deleted


@around_restore
@contextmanager
def outgrowing() -> Iterator[None]:
    """Raise the version above any later one already sent out. Call inside the transaction."""
    before = LedgerState.objects.filter(id=1).values_list("version", flat=True).first() or 0
    yield
    LedgerState.objects.filter(id=1, version__lt=before).update(version=before + 1)
