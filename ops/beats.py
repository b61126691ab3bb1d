"""The schedule as it stands: what runs how often, how it went, when it runs next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django_celery_beat.models import PeriodicTask

from fluxtracker import figures
from fluxtracker.fresh import is_ahead
from ops.models import TaskState

SCHEDULES = ("interval", "crontab", "solar", "clocked")


@dataclass(frozen=True, slots=True)
class Beat:
    """A row of the schedule. `next_at` is None where it is switched off; `state`: where the work never ran."""

    pk: int
    name: str
    every: str
    enabled: bool
    last_at: datetime | None
    next_at: datetime | None
    state: TaskState | None


def beats(states: Mapping[str, TaskState], now: datetime) -> list[Beat]:
    """All rows by name, without those of Celery's own. One query."""
    rows = PeriodicTask.objects.select_related(*SCHEDULES).exclude(task__startswith="celery.").order_by("name")
    return [_beat(row, states.get(row.task.rpartition(".")[2]), now) for row in rows]


def _beat(row: PeriodicTask, state: TaskState | None, now: datetime) -> Beat:
    """Beat notes its last run minutes later, the run itself at once."""
    times = [at for at in (row.last_run_at, state and state.last_started_at) if at and not is_ahead(at, now)]
    last = max(times, default=None)
    return Beat(row.pk, row.name, every(row), row.enabled, last, _next(row, last, now), state)


def every(row: PeriodicTask) -> str:
    """Return how often the row runs, in words."""
    if row.interval:
        return f"every {figures.span(row.interval.schedule.run_every)}"
    return str(row.scheduler or "no schedule")


def _next(row: PeriodicTask, last: datetime | None, now: datetime) -> datetime | None:
    """When it is due; in the past where beat has not come to it yet."""
    if not row.enabled or row.scheduler is None or (row.expires and row.expires <= now):
        return None
    if last is None:
        return row.start_time or now
    due: datetime = now + row.schedule.remaining_estimate(last)
    return due
