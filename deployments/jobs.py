"""Run the jobs on app messages for commands, tasks, admin and API, and record the fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import structlog
from django.db.models import F
from django.utils import timezone
from rest_framework import serializers

from deployments import accrual, rebuild_lives
from deployments.message_sync import MessagesReport, Upstreams, learn_messages
from deployments.models import ChangedApp, FillDay, MessagesState
from deployments.running_instances import fill
from deployments.splits import daily
from fluxtracker import database
from fluxtracker.api.fields import TrueOrFalse
from fluxtracker.api.report_serializers import as_report, described
from fluxtracker.batches import chunks, garbage_kept
from fluxtracker.upstream import clients
from fluxtracker.upstream.http.client import Http
from metrics.selectors import running_read_at
from ops.jobs.runs import Run
from ops.leases import LeaseHeld, LeaseLost
from ops.registry import JobGroup, job, on_change
from revenue import ledger
from revenue.models import ChangedDay
from revenue.selectors import day_batches

log = structlog.get_logger(__name__)

MOST_PAYMENTS = 20_000  # of the days split in one database transaction


@job(
    "sync-messages",
    report=MessagesReport,
    help="Read new app messages; full: read all of them again.",
    params={"full": TrueOrFalse(default=False, help_text="All messages again, in one large answer.")},
    also={"requests": serializers.IntegerField(), "seconds": serializers.FloatField()},
)
@garbage_kept()
def sync_messages(run: Run, *, full: bool = False) -> dict[str, Any]:
    """Read unknown app messages, and rebuild the lives of their apps."""
    http = Http.from_settings()
    upstreams = Upstreams(clients.app_registry(http), clients.stats(http), clients.daemon(http))
    done, short = learn_messages(upstreams=upstreams, now=timezone.now(), run=run, full=full)
    run.changed = bool(done.added or done.changed or done.lives)
    report = as_report(done) | http.effort
    log.info("messages_synced", **{key: value for key, value in report.items() if key != "leftOut"})
    if short:
        run.report = report
        raise short
    return report


@dataclass(frozen=True, slots=True)
class EconomicsReport:
    days: int = field(metadata=described("Days with revenue split again."))
    lives: int = field(metadata=described("Apps with a rebuilt life."))


@job(
    "update-economics",
    report=EconomicsReport,
    help="Update splits, lives and accruals for changed days.",
    group=JobGroup.REPAIR,
)
@garbage_kept()
def update_economics(run: Run) -> EconomicsReport:
    """Process changed days in batches, until rebuilt lives change no further day."""
    days, lives = set[date](), 0
    while changed := list(ChangedDay.objects.values_list("day", flat=True)):
        for batch in day_batches(changed, MOST_PAYMENTS):
            with ledger.locked():
                run.guard()
                _follow(batch)
            days.update(batch)
            run.progress(f"split {batch[-1]}")
        lives += rebuild_lives.rebuild_changed(run)
    return EconomicsReport(len(days), lives)


def _follow(days: Sequence[date]) -> None:
    """Split these days again, mark the apps they affect, and change the stamp of answers."""
    daily.recompute(days)
    accrual.recompute_cash(days)
    apps = [ChangedApp(app_key=key) for key in rebuild_lives.touched(days)]
    ChangedApp.objects.bulk_create(apps, ignore_conflicts=True, batch_size=10_000)
    for batch in chunks(days):
        ChangedDay.objects.filter(day__in=batch).delete()
    MessagesState.load()
    MessagesState.objects.update(version=F("version") + 1)


@on_change
def keep_economics() -> None:
    """Process a change of the ledger at once. A web request leaves many days to the schedule, as readers do."""
    changed = ChangedDay.objects.count()
    if not changed or (database.patience.left is not None and changed > daily.MOST_PENDING):
        return
    try:
        update_economics(trigger="change")
    except (LeaseHeld, LeaseLost) as error:
        log.info("economics_later", reason=str(error))


@on_change.after("take-census", "sync-messages")
def record_fill() -> None:
    """Record how many ordered instances run, once per reading of the running ones."""
    now, read_at = timezone.now(), running_read_at()
    if read_at is None or FillDay.objects.filter(day=read_at.date(), read_at=read_at).exists():
        return
    result = fill(now)
    if result["ordered"] is None:
        return
    expired = sum(row["instances"] for row in result["expiredRunning"])
    values = {"ordered": result["ordered"], "running": result["running"], "expired_running": expired}
    FillDay.objects.update_or_create(day=read_at.date(), defaults={"read_at": read_at, **values})
