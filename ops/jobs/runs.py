"""Run a task: hold its lease, record the run and its outcome, count failures, raise an alert.

Counters are rows, so they cover all processes and survive restarts and the pruning of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from fluxtracker.database import database_words
from fluxtracker.formatting import printable, storable
from fluxtracker.upstream.http.client import SENT, WATCH, Cancelled, Counts
from fluxtracker.upstream.http.errors import UpstreamError
from ops import leases
from ops.alerts import records
from ops.models import ALERT_AFTER, Tally, TaskRun, TaskState
from ops.status import task_failing

RUNS, RUN_SECONDS, REQUESTS = "runs", "run_seconds", "requests"

Key = tuple[str, str, str]


def count_run(run: TaskRun, outcome: str, finished_at: datetime) -> None:
    """Count an ended run and its duration."""
    seconds = max((finished_at - run.started_at).total_seconds(), 0)
    add({(RUNS, run.name, outcome): 1, (RUN_SECONDS, run.name, ""): seconds})


def count_requests(sent: Counts) -> None:
    """Count this process's upstream requests since its last run ended."""
    add({(REQUESTS, host[:100], result): number for (host, result), number in sent.items()})


def add(numbers: Mapping[Key, float]) -> None:
    """Add to counters in sorted order, so that runs cannot deadlock. Call inside a transaction."""
    for (name, label, outcome), number in sorted(numbers.items()):
        row = Tally.objects.filter(name=name, label=label, outcome=outcome)
        if not row.update(value=F("value") + number):
            Tally.objects.bulk_create([Tally(name=name, label=label, outcome=outcome)], ignore_conflicts=True)
            row.update(value=F("value") + number)


log = structlog.get_logger(__name__)

REFUSED = (DataError, IntegrityError, TypeError, ValueError)  # of texts and reports that no column accepts


class NotDone(Exception):
    """The task failed, not because of an upstream. `report` is its report."""

    def __init__(self, reason: str, report: dict[str, Any]) -> None:
        super().__init__(reason)
        self.report = report


@dataclass(slots=True)
class Run:
    """A run in progress. `progress` reports progress; `changed`: dependent data must be updated.

    `after` is called once the lease is free, and adds to the report.
    """

    name: str
    lease: leases.Held
    report: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[str], None] = field(default_factory=lambda: WATCH.get().progress)
    check: Callable[[], None] = field(default_factory=lambda: WATCH.get().check)
    trigger: str = ""
    changed: bool = False
    after: Callable[[], dict[str, Any]] | None = None

    def guard(self) -> None:
        """Raise LeaseLost or Cancelled unless this run may still write. Call inside a transaction."""
        self.check()
        self.lease.guard()


@contextmanager
def run(
    name: str,
    *,
    trigger: str,
    lease: str | None = None,
    wait: float = 0.0,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Run]:
    """Hold the lease (`name` unless another is given), and record the run and its outcome.

    Raise LeaseHeld if the lease is not free within `wait` seconds. Exceptions carry the report (`report_of`).
    """
    with leases.hold(lease or name, wait=wait) as held:
        row = _started(name, trigger)
        current = Run(name, held, trigger=trigger)
        if progress:
            current.progress = progress
        try:
            yield current
        except BaseException as error:
            how = _cancelled if isinstance(error, Cancelled) else _failed
            _record(how, row, public_words(error), type(error).__name__)
            error.__dict__.setdefault("report", current.report)
            raise
        _record(_succeeded, row, current.report, storable(current.report))


def report_of(error: BaseException) -> dict[str, Any]:
    """Return the partial report of the run that raised this error."""
    report = getattr(error, "report", None)
    return storable(report) if isinstance(report, dict) else {}


FOR_PEOPLE = (UpstreamError, NotDone, Cancelled, leases.LeaseHeld, leases.LeaseLost)


def one_line(error: BaseException) -> str:
    """Return an error in one line for operators, without the statement quoted by a database."""
    if isinstance(error, DatabaseError):
        return database_words(error)
    words = " ".join(printable(str(error)).split())
    return (words or type(error).__name__)[:500]


def public_words(error: BaseException) -> str:
    """Return a public text for /api/health and alerts, as unexpected errors may contain anything."""
    kind = type(error).__name__
    if isinstance(error, FOR_PEOPLE):
        return one_line(error)
    if isinstance(error, SoftTimeLimitExceeded):
        return "it took too long and was stopped"
    if isinstance(error, DatabaseError):
        return f"the database failed ({kind}); see the log"
    if isinstance(error, Exception):
        return f"unexpected error ({kind}); see the log"
    return f"it was stopped from outside ({kind})"


def _started(name: str, trigger: str) -> TaskRun:
    now = timezone.now()
    TaskState.objects.update_or_create(name=name, defaults={"last_started_at": now})
    return TaskRun.objects.create(name=name, trigger=trigger, started_at=now)


def _record(how: Callable[[TaskRun, Any], None], row: TaskRun, outcome: Any, instead: Any) -> None:
    """Record the outcome, or `instead` if it cannot be stored, so that the run counts.

    A failing database is logged.
    """
    sent = SENT.take()
    try:
        try:
            _write(how, row, outcome, sent)
        except REFUSED as error:
            log.warning("run_words_refused", task=row.name, error=one_line(error))
            _write(how, row, instead, sent)
    except DatabaseError as error:
        SENT.put_back(sent)
        log.warning("run_not_recorded", task=row.name, error=one_line(error))


def _write(how: Callable[[TaskRun, Any], None], row: TaskRun, outcome: Any, sent: Counts) -> None:
    with transaction.atomic():
        how(row, outcome)
        count_requests(sent)


def _end(row: TaskRun, outcome: str, **values: Any) -> datetime:
    now = timezone.now()
    TaskRun.objects.filter(pk=row.pk).update(finished_at=now, ok=outcome == "ok", **values)
    count_run(row, outcome, now)
    return now


def _succeeded(row: TaskRun, report: dict[str, Any]) -> None:
    now = _end(row, "ok", report=report)
    state = TaskState.objects.select_for_update().get(name=row.name)
    if state.consecutive_failures >= ALERT_AFTER:
        log.warning("task_recovered", task=row.name, failures=state.consecutive_failures)
        records.close_alert(state.failing.key, now)
    TaskState.objects.filter(name=row.name).update(
        last_success_at=now, consecutive_failures=0, last_error="", last_report=report
    )


def _cancelled(row: TaskRun, words: str) -> None:
    """Record a run that counts as neither success nor failure."""
    _end(row, "cancelled", error=words)


def _failed(row: TaskRun, error: str) -> None:
    now = _end(row, "failed", error=error)
    TaskState.objects.filter(name=row.name).update(
        last_failure_at=now, consecutive_failures=F("consecutive_failures") + 1, last_error=error
    )
    failures = TaskState.objects.get(name=row.name).consecutive_failures
    log.warning("task_failed", task=row.name, error=error, failures=failures)
    if failures == ALERT_AFTER:
        log.error("task_keeps_failing", task=row.name, error=error, failures=failures)
    if failures >= ALERT_AFTER:
        records.raise_alert(task_failing(row.name, failures, error), now)
