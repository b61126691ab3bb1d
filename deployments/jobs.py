"""The jobs on app messages and what follows from them, for commands, tasks, admin and API; record the fill."""

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
from deployments.instance_fill import fill
from deployments.message_sync import MessagesReport, Upstreams, learn_messages
from deployments.models import ChangedApp, FillDay, MessagesState
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

MOST_PAYMENTS = 20_000  # of the days that are split in one database transaction


@job(
    "sync-messages",
    report=MessagesReport,
    help="Read new app messages; full: all of them again.",
    params={"full": TrueOrFalse(default=False, help_text="All messages again, in one large answer.")},
    also={"requests": serializers.IntegerField(), "seconds": serializers.FloatField()},
)
@garbage_kept()
def sync_messages(run: Run, *, full: bool = False) -> dict[str, Any]:
    """Read the app messages that are not known, and build the lives of their apps again."""
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
    days: int = field(metadata=described("Days whose revenue was split again."))
    lives: int = field(metadata=described("Apps whose life was built again."))


@job(
    "update-economics",
    report=EconomicsReport,
    help="Bring splits, lives and accruals up to date with the days that have changed.",
    group=JobGroup.REPAIR,
)
@garbage_kept()
def update_economics(run: Run) -> EconomicsReport:
    """Follow the changed days, some in one transaction, until the lives that they touch change no further one."""
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
    """Split these days again, and mark the apps whose lives they touch. Answers have another stamp after that."""
    daily.recompute(days)
    accrual.recompute_cash(days)
    apps = [ChangedApp(app_key=key) for key in rebuild_lives.touched(days)]
    ChangedApp.objects.bulk_create(apps, ignore_conflicts=True, batch_size=10_000)
    for some in chunks(days):
        ChangedDay.objects.filter(day__in=some).delete()
    MessagesState.load()
    MessagesState.objects.update(version=F("version") + 1)


@on_change
def keep_economics() -> None:
    """Follow a change of the ledger at once. A web request leaves many days to the schedule, as readers do."""
    changed = ChangedDay.objects.count()
    if not changed or (database.patience.left is not None and changed > daily.MOST_PENDING):
        return
    try:
        update_economics(trigger="change")
    except (LeaseHeld, LeaseLost) as error:
        log.info("economics_later", reason=str(error))


@on_change.after("take-census", "sync-messages")
def record_fill() -> None:
    """Keep how many of the ordered instances run, once for each reading of the running ones."""
    now, read_at = timezone.now(), running_read_at()
    if read_at is None or FillDay.objects.filter(day=read_at.date(), read_at=read_at).exists():
        return
    found = fill(now)
    if found["ordered"] is None:
        return
    expired = sum(row["instances"] for row in found["expiredRunning"])
    values = {"ordered": found["ordered"], "running": found["running"], "expired_running": expired}
    FillDay.objects.update_or_create(day=read_at.date(), defaults={"read_at": read_at, **values})
