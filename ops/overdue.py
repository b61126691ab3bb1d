"""Which rows of the schedule are overdue, whoever is to blame: the scheduler, the broker or the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django_celery_beat.models import PeriodicTask, PeriodicTasks

from fluxtracker import figures
from fluxtracker.fresh import is_ahead
from ops import leases
from ops.beats import SCHEDULES, every
from ops.models import TaskState
from ops.schedule import UNRECORDED

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Overdue:
    """A row of the schedule that missed two of its times. `since`: its last run; None where it never ran."""

    name: str
    task: str
    every: str
    since: datetime | None


def overdue(now: datetime) -> list[Overdue]:
    """Return the rows whose work neither began nor ended for twice its interval, nor is under way. Three queries.

    A row that was added or changed has that long from then on.
    """
    states = {state.name: state for state in TaskState.objects.all()}
    changed_at = PeriodicTasks.last_change()
    rows = PeriodicTask.objects.select_related(*SCHEDULES).filter(enabled=True).exclude(task__startswith="celery.")
    return [found for row in rows.order_by("name") if (found := _overdue(row, states, changed_at, now))]


def sentence(found: Sequence[Overdue]) -> str:
    """Return one sentence on all of them; empty: none is."""
    named = [
        f"{row.name} ({row.every}) has not run{f' since {figures.moment(row.since)}' if row.since else ' yet'}"
        for row in found
    ]
    more = [f"{len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    return f"The schedule is overdue: {', '.join([*named[:MOST_NAMED], *more])}." if named else ""


def is_overdue(task: str, now: datetime) -> bool:
    """Return whether a row of the schedule for this Celery task is overdue."""
    return any(row.task == task for row in overdue(now))


def _overdue(
    row: PeriodicTask, states: dict[str, TaskState], changed_at: datetime | None, now: datetime
) -> Overdue | None:
    name = row.task.rpartition(".")[2]
    state = states.get(name)
    waits = row.start_time is not None and row.start_time > now
    is_over = row.expires is not None and row.expires <= now
    if row.task in UNRECORDED or (row.interval or row.crontab or row.solar) is None or waits or is_over:
        return None
    ran = _newest(now, *((state.last_started_at, state.last_success_at, state.last_failure_at) if state else ()))
    base = _newest(now, ran, changed_at)
    if base is None or now <= _second_time(row, base, now) or leases.holder_of(name) is not None:
        return None
    return Overdue(row.name, row.task, every(row), ran)


def _second_time(row: PeriodicTask, base: datetime, now: datetime) -> datetime:
    """Return when it was due for the second time after `base`."""
    due = base
    for _ in range(2):
        due = now + row.schedule.remaining_estimate(due)
    return due


def _newest(now: datetime, *times: datetime | None) -> datetime | None:
    """Return the last of these times. Those of a clock that was ahead say nothing."""
    return max((at for at in times if at is not None and not is_ahead(at, now)), default=None)
