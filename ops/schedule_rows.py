"""Install the default schedule, and report when tasks run and which rows are overdue.

Rows are created once; operators' changes in the admin stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import F
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from fluxtracker.database import compiled_once
from fluxtracker.formatting import moment, span
from fluxtracker.periods import is_ahead, is_fresh
from ops import leases
from ops.models import TaskState, WorkerSeen
from ops.registry import discover, place_of
from ops.status import OK, Status

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Entry:
    """A periodic task. A message not taken by a worker within `expires` is dropped, as the next one follows."""

    name: str
    task: str
    every: timedelta
    description: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    """Whether it is enabled by default; others run once an operator enables them."""

    @property
    def app(self) -> str:
        return self.task.partition(".")[0]

    @property
    def expires_s(self) -> int:
        return max(int(self.every.total_seconds()) - 10, 10)


_ENTRIES: dict[str, Entry] = {}


def scheduled(every: timedelta, description: str) -> Callable[[Function], Function]:
    """Add a function's task to the default schedule. Goes below `@shared_task`."""

    def register(function: Function) -> Function:
        schedule(f"{function.__module__}.{function.__name__}", every, description)
        return function

    return register


def schedule(
    task: str, every: timedelta, description: str, *, arguments: Mapping[str, str] | None = None, enabled: bool = True
) -> None:
    """Add a task to the default schedule. Its row has its name: `sync-revenue`, or `send-report-week`."""
    name = "-".join([task.rpartition(".")[2].replace("_", "-"), *(arguments or {}).values()])
    _ENTRIES[name] = Entry(name, task, every, description, arguments or {}, enabled)


def entries() -> list[Entry]:
    """Return the default schedule, as added by the `tasks` of all apps. The ledger comes first."""
    discover("tasks")
    return sorted(_ENTRIES.values(), key=lambda entry: place_of(entry.app))


WORKER_FRESH = timedelta(seconds=90)  # workers report every 20 s
LEAST_LATE = timedelta(minutes=1)  # a demo syncs every 10 s, but starts slower
UNRECORDED = ("ops.tasks.resend_jobs",)  # records no run


def install() -> int:
    """Create missing rows. Return how many.

    `start_time` in the past makes beat run a new task at once; one that ran before is due by its last run
    (django-celery-beat, ModelEntry).
    """
    made = 0
    for entry in entries():
        interval, _ = IntervalSchedule.objects.get_or_create(
            every=int(entry.every.total_seconds() // 60), period=IntervalSchedule.MINUTES
        )
        _, created = PeriodicTask.objects.get_or_create(
            name=entry.name,
            defaults={
                "task": entry.task,
                "interval": interval,
                "start_time": timezone.now(),
                "expire_seconds": entry.expires_s,
                "description": entry.description,
                "kwargs": json.dumps(entry.arguments),
                "enabled": entry.enabled,
            },
        )
        made += created
    return made


@dataclass(frozen=True, slots=True)
class ScheduledTask:
    """A row of the schedule. `next_at` None: disabled; `state` None: never run."""

    pk: int
    name: str
    every: str
    enabled: bool
    last_at: datetime | None
    next_at: datetime | None
    state: TaskState | None


def scheduled_tasks(states: Mapping[str, TaskState], now: datetime) -> list[ScheduledTask]:
    """Return all rows by name, except Celery's own."""
    return [_scheduled(row, states.get(row.task.rpartition(".")[2]), now) for row in _rows()]


def _rows() -> Any:
    """Return all rows except Celery's own: one query, and one more per row without an interval."""
    return PeriodicTask.objects.select_related("interval").exclude(task__startswith="celery.").order_by("name")


def _enabled() -> Iterator[PeriodicTask]:
    """Yield enabled rows. One query, and one more per row without an interval."""
    for row in _enabled_rows():
        if row.interval_id:
            row.interval = IntervalSchedule(row.interval_id, row.interval_every, row.interval_period)
        yield row


_INTERVAL = {"interval_every": F("interval__every"), "interval_period": F("interval__period")}
_enabled_rows = compiled_once(lambda: _rows().select_related(None).annotate(**_INTERVAL).filter(enabled=True))


def _scheduled(row: PeriodicTask, state: TaskState | None, now: datetime) -> ScheduledTask:
    """Return the row with its last run, preferably by the run's own start, as Beat notes it minutes later."""
    times = [at for at in (row.last_run_at, state and state.last_started_at) if at and not is_ahead(at, now)]
    last = max(times, default=None)
    return ScheduledTask(row.pk, row.name, every(row), row.enabled, last, _next(row, last, now), state)


def every(row: PeriodicTask) -> str:
    """Describe how often the row runs."""
    if row.interval:
        return f"every {span(row.interval.schedule.run_every)}"
    return str(row.scheduler or "no schedule")


def _next(row: PeriodicTask, last: datetime | None, now: datetime) -> datetime | None:
    """Return when it is due; in the past if beat has not reached it yet."""
    if not row.enabled or row.scheduler is None or (row.expires and row.expires <= now):
        return None
    if last is None:
        return row.start_time or now
    due: datetime = now + row.schedule.remaining_estimate(last)
    return due


@dataclass(frozen=True, slots=True)
class Overdue:
    """A row of the schedule that missed two of its times. `since`: its last run, if any."""

    name: str
    task: str
    every: str
    since: datetime | None

    @property
    def work(self) -> str:
        return self.task.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.name} ({self.every}) has not run {'since ' + moment(self.since) if self.since else 'yet'}"


def overdue(now: datetime, states: Mapping[str, TaskState] | None = None) -> list[Overdue]:
    """Return rows whose work neither began nor ended for twice its interval, or LEAST_LATE if longer.

    Running work is not overdue. Three queries.

    A row that was added or changed has that long from then on.
    """
    known = TaskState.by_name() if states is None else states
    changed_at = PeriodicTasks.last_change()
    late = [entry for row in _enabled() if (entry := _late(row, known, changed_at, now))]
    under_way = leases.held([row.work for row in late]) if late else ()
    return [row for row in late if row.work not in under_way]


def status(rows: Sequence[Overdue]) -> Status:
    """Return one status for all of them."""
    return Status("schedule_overdue", facts={"rows": tuple(rows)}, key="schedule") if rows else OK


def worker(now: datetime) -> Status:
    """Return whether a worker was recently seen alive; `since` is when."""
    last = next((row.seen_at for row in _last_seen()), None)
    return Status("ok" if is_fresh(last, now, WORKER_FRESH) else "worker_missing", since=last)


_last_seen = compiled_once(lambda: WorkerSeen.objects.order_by("-seen_at")[:1])


def is_scheduled(task: str, now: datetime) -> bool:
    """Return whether this Celery task is on schedule: a worker is alive, a row is enabled, none is overdue."""
    is_enabled = worker(now).is_ok and PeriodicTask.objects.filter(task=task, enabled=True).exists()
    return is_enabled and not is_overdue(task, now)


def is_overdue(task: str, now: datetime) -> bool:
    """Return whether a row of the schedule for this Celery task is overdue."""
    return any(row.task == task for row in overdue(now))


def _late(
    row: PeriodicTask, states: Mapping[str, TaskState], changed_at: datetime | None, now: datetime
) -> Overdue | None:
    state = states.get(row.task.rpartition(".")[2])
    waits = row.start_time is not None and row.start_time > now
    is_over = row.expires is not None and row.expires <= now
    if row.task in UNRECORDED or (row.interval or row.crontab or row.solar) is None or waits or is_over:
        return None
    ran = _newest(now, *((state.last_started_at, state.last_success_at, state.last_failure_at) if state else ()))
    base = _newest(now, ran, changed_at)
    if base is None or now <= _second_time(row, base, now):
        return None
    return Overdue(row.name, row.task, every(row), ran)


def _second_time(row: PeriodicTask, base: datetime, now: datetime) -> datetime:
    """Return when it was due for the second time after `base`."""
    if row.interval:
        return base + max(2 * timedelta(**{row.interval.period: row.interval.every}), LEAST_LATE)
    due = base
    for _ in range(2):
        due = now + row.schedule.remaining_estimate(due)
    return due


def _newest(now: datetime, *times: datetime | None) -> datetime | None:
    """Return the last of these times, ignoring ones in the future."""
    return max((at for at in times if at is not None and not is_ahead(at, now)), default=None)
