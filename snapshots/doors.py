"""The one door to each verb of this room: commands, tasks, admin and API all come through here."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils import timezone

from fluxtracker.upstream.clients import stats
from fluxtracker.upstream.http import Http
from ops import after, runs
from snapshots import backfill, take
from snapshots.retake import retake_snapshot

Report = dict[str, Any]

LEASE = "take_snapshot"  # whatever writes rows of days


def take_snapshot(*, trigger: str, wait: float = 0, force: bool = False, day: date | None = None) -> Report:
    """Take today's snapshot; `force` takes it again, `day` a past day's, of its readings."""
    return _take("take_snapshot", trigger, wait, force=force, day=day)


def check_snapshot(*, trigger: str, wait: float = 0) -> Report:
    """What the schedule runs: take today's snapshot if it is time and there is none."""
    return _take("check_snapshot", trigger, wait, patient=True)


def _take(
    name: str, trigger: str, wait: float, *, force: bool = False, patient: bool = False, day: date | None = None
) -> Report:
    with runs.run(name, lease=LEASE, trigger=trigger, wait=wait) as run:
        if day is None:
            done = take.take_snapshot(now=timezone.now(), run=run, force=force, patient=patient)
        else:
            done = retake_snapshot(day=day, now=timezone.now(), run=run)
        run.report = {"date": done.day.isoformat(), "created": done.created, "reason": done.reason}
        if done.refused:
            raise runs.NotDone(done.reason or "refused", run.report)
    if done.created:
        after.changed()
    return run.report


def backfill_snapshots(*, trigger: str, wait: float = 0, days: int = 365, force: bool = False) -> Report:
    """Make missing days from the ledger and the history of node counts.

    Without that history the ledger's days are made all the same, and then it counts as failed.
    """
    http = Http.from_settings()
    with runs.run("backfill_snapshots", lease=LEASE, trigger=trigger, wait=wait) as run:
        done = backfill.backfill_snapshots(stats=stats(http), now=timezone.now(), run=run, days=days, force=force)
        run.report = {
            "created": done.created,
            "updated": done.updated,
            "skipped": done.skipped,
            "unknown": done.unknown,
            "from": done.first.isoformat(),
            "to": done.last.isoformat(),
        }
        if done.created or done.updated:
            after.changed()
        if done.failure:
            raise done.failure
    return run.report
