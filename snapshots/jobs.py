"""Run the jobs on days for commands, tasks, admin and API."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils import timezone

from fluxtracker.api.fields import TrueOrFalse, Whole
from fluxtracker.api.report_serializers import as_report
from fluxtracker.upstream.clients import stats
from fluxtracker.upstream.http.client import Http
from ops.jobs.runs import NotDone, Run
from ops.registry import JobGroup, job, on_change
from snapshots import take
from snapshots.backfill import LEASE, BackfillReport, backfill_days, retake_snapshot
from snapshots.comparison.cache import keep_warm
from snapshots.take import SnapshotReport

Report = dict[str, Any]
on_change(keep_warm)


@job(
    "snapshot",
    report=SnapshotReport,
    help="Take today's snapshot; force: take it again.",
    params={"force": TrueOrFalse(default=False, help_text="Take today's again.")},
)
def take_snapshot(run: Run, *, force: bool = False, day: date | None = None) -> Report:
    """Take today's snapshot; `force` takes it again, `day` a past day's from its readings."""
    if day is None:
        return _settled(run, take.take_snapshot(now=timezone.now(), run=run, force=force))
    return _settled(run, retake_snapshot(day=day, now=timezone.now(), run=run))


@job(
    "check-snapshot", report=SnapshotReport, help="Take today's snapshot if it is time and there is none.", lease=LEASE
)
def check_snapshot(run: Run) -> Report:
    """Take today's snapshot if there is none."""
    return _settled(run, take.take_snapshot(now=timezone.now(), run=run, patient=True))


def _settled(run: Run, done: SnapshotReport) -> Report:
    run.changed, report = done.created, as_report(done)
    if done.refused:
        raise NotDone(done.reason or "refused", report)
    return report


@job(
    "backfill",
    report=BackfillReport,
    help="Fill missing days; force: also rebuild backfilled days.",
    group=JobGroup.REPAIR,
    answer="Result of a backfill.",
    lease=LEASE,
    params={
        "days": Whole(default=365, maximum=3650, help_text="Number of days back."),
        "force": TrueOrFalse(default=False, help_text="Backfilled days again, never taken ones."),
    },
)
def backfill_snapshots(run: Run, *, days: int = 365, force: bool = False) -> BackfillReport:
    """Make missing days from the ledger and the history of node counts.

    Without that history the ledger's days are still made, but the run counts as failed.
    """
    client = stats(Http.from_settings())
    done = backfill_days(stats=client, now=timezone.now(), run=run, days=days, force=force)
    run.changed, run.report = bool(done.created or done.updated), as_report(done)
    if done.failure:
        raise done.failure
    return done
