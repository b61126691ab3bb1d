"""What made one day of the history, or why there is nothing: for the admin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from fluxtracker.periods import midnight
from ops.models import TaskRun
from revenue.models import DailyPrice
from revenue.reports import Totals
from snapshots.gaps import DAY, gaps
from snapshots.models import ImageDay, Refusal, Snapshot

WRITERS = ("take_snapshot", "check_snapshot", "backfill_snapshots")
MOST_RUNS = 20
NOT_MEASURED = ("id", "day", "source", "made_at", "read_at", "counts")


@dataclass(frozen=True, slots=True)
class Story:
    """`made_by` is None where the run's record is gone, or where an import or the demo made the day."""

    day: date
    snapshot: Snapshot | None
    reason: str
    made_by: TaskRun | None
    unknown: list[str]
    refusal: Refusal | None
    runs: list[TaskRun]
    revenue_sat: int | None
    price: DailyPrice | None
    images: int
    before: date
    after: date | None


def load(day: date, now: datetime) -> Story:
    """Nine queries at most."""
    row = Snapshot.objects.filter(day=day).first()
    missing = [] if row else gaps([], day, day, now)
    return Story(
        day=day,
        snapshot=row,
        reason=missing[0].reason if missing else "",
        made_by=_made_by(row) if row else None,
        unknown=_unknown(row) if row else [],
        refusal=Refusal.objects.filter(day=day).first(),
        runs=_runs(day),
        revenue_sat=Totals.load(day, day).of([day]).revenue_sat,
        price=DailyPrice.objects.filter(day=day).first(),
        images=ImageDay.objects.filter(day=day).count(),
        before=day - DAY,
        after=day + DAY if day < now.date() else None,
    )


def _made_by(row: Snapshot) -> TaskRun | None:
    at_work = TaskRun.objects.filter(name__in=WRITERS, started_at__lte=row.made_at, finished_at__gte=row.made_at)
    return at_work.order_by("-started_at").first()


def _runs(day: date) -> list[TaskRun]:
    """The day's runs that made something or failed, newest first; most checks find nothing to do."""
    span = TaskRun.objects.filter(name__in=WRITERS, started_at__gte=midnight(day), started_at__lt=midnight(day + DAY))
    told = [run for run in span.order_by("-started_at") if not run.ok or (run.report or {}).get("created")]
    return told[:MOST_RUNS]


def _unknown(row: Snapshot) -> list[str]:
    """The columns that nobody could tell, by name."""
    columns = (field.name for field in Snapshot._meta.concrete_fields if field.name not in NOT_MEASURED)
    return [name for name in columns if getattr(row, name) is None]
