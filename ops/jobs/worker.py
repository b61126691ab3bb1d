"""Run a job on a worker: claim it by a conditional UPDATE, monitor it, and record its outcome.

Jobs lost by the broker are resent, jobs of dead workers are requeued, old ones are deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextvars import Token
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from fluxtracker.periods import AHEAD, is_fresh
from fluxtracker.upstream.http.client import WATCH, Cancelled, Watch
from fluxtracker.upstream.http.errors import UpstreamError
from ops import leases, registry
from ops.broker import NoBroker
from ops.jobs import services
from ops.jobs.runs import NotDone, one_line, public_words, report_of
from ops.leases import LeaseLost, database_time
from ops.models import Job

log = structlog.get_logger(__name__)

EVERY_S = 2.0
LONGEST_PROGRESS = 200


class JobWatch(Watch):
    """Reports progress and receives cancellations, in a thread with a connection outside the job's transactions."""

    def __init__(self, job: Job) -> None:
        self._row = Job.objects.filter(pk=job.pk, holder=job.holder, state=Job.State.RUNNING)
        self._words = ""
        self._cancelled, self._lost, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"job {job.pk}", daemon=True)
        self._token: Token[Watch] | None = None

    @property
    def words(self) -> str:
        return self._words

    def progress(self, words: str) -> None:
        self._words = words[:LONGEST_PROGRESS]
        self.check()

    def check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled("cancelled")
        if self._lost.is_set():
            raise LeaseLost("the job went to another worker")

    def __enter__(self) -> JobWatch:
        self._token = WATCH.set(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(EVERY_S)
        if self._token:
            WATCH.reset(self._token)

    def _beat(self) -> None:
        """Poll until stopped. If the database is briefly away, try again at the next beat."""
        while not self._stop.wait(EVERY_S):
            try:
                self._look()
            except (DatabaseError, InterfaceError) as error:
                log.warning("job_not_seen", error=type(error).__name__)
                connection.close()
        connection.close()

    def _look(self) -> None:
        if not self._row.update(seen_at=database_time(), progress=self._words):
            if not self._stop.is_set():  # otherwise it has just ended
                self._lost.set()
        elif self._row.filter(cancel_asked=True).exists():
            self._cancelled.set()


MOST_ATTEMPTS = 4  # the first, and three more after dead workers
SILENT = timedelta(minutes=5)  # after which a worker on another host counts as dead
LEASE_WAIT_S = 30.0

State, Failure = Job.State, Job.Failure
FAILURES: Mapping[type[Exception], Job.Failure] = {
    leases.LeaseHeld: Failure.RUNNING,
    leases.LeaseLost: Failure.REFUSED,
    NotDone: Failure.REFUSED,
    UpstreamError: Failure.UPSTREAM,
    SoftTimeLimitExceeded: Failure.WORKER,
    DatabaseError: Failure.DATABASE,
}


@dataclass(frozen=True, slots=True)
class End:
    """Outcome of a job."""

    state: Job.State
    result: dict[str, Any] | None = None
    failure: str = ""
    error: str = ""


def run_job(job_id: int) -> None:
    """Run the job unless it has ended, was cancelled, or runs elsewhere."""
    job = claim(job_id, leases.database_now())
    if job is None:
        log.info("job_not_taken", job=job_id)
        return
    with structlog.contextvars.bound_contextvars(request_id=job.request_id, job=job.pk):
        log.info("job_started", name=job.name, attempt=job.attempts)
        with JobWatch(job) as watch:
            try:
                end = attempt(job)
            except BaseException:  # the worker must stop; another one continues
                _rows(job).update(state=State.QUEUED, holder="", sent_at=None)
                raise
        finish(job, end, watch.words)
        log.info("job_ended", name=job.name, state=end.state, error=end.error)


def claim(job_id: int, now: datetime) -> Job | None:
    """Claim the job if it is queued or its worker is dead, else return None."""
    row, holder = Job.objects.filter(pk=job_id), leases.make_holder()
    mine = {
        "state": State.RUNNING, "holder": holder, "started_at": now, "seen_at": now,
        "attempts": F("attempts") + 1, "progress": "",
    }  # fmt: skip
    if not row.filter(state=State.QUEUED).update(**mine):
        job = row.filter(state=State.RUNNING).first()
        if job is None or not is_abandoned(job, now) or not may_continue(job):
            return None
        if not row.filter(state=State.RUNNING, holder=job.holder, seen_at=job.seen_at).update(**mine):
            return None
    return row.filter(holder=holder).first()


def is_abandoned(job: Job, now: datetime) -> bool:
    """Return whether the worker of a running job counts as dead. `now` by the database's clock."""
    return leases.is_dead(job.holder) or not is_fresh(job.seen_at, now, SILENT)


def may_continue(job: Job) -> bool:
    return not job.cancel_asked and job.attempts < MOST_ATTEMPTS


def attempt(job: Job) -> End:
    """Run the job and return its outcome."""
    try:
        result = registry.find(job.name).call(job.params, trigger=job.via, wait=LEASE_WAIT_S)
        return End(State.DONE, result=result)
    except Cancelled as error:
        return End(State.CANCELLED, error=one_line(error))
    except Exception as error:
        return End(State.FAILED, report_of(error) or None, _failure(error), public_words(error))


def _failure(error: Exception) -> Job.Failure:
    """Return the kind of failure. Log errors whose text is not public."""
    failure = next((code for kind, code in FAILURES.items() if isinstance(error, kind)), Failure.ERROR)
    if failure == Failure.DATABASE:
        log.warning("job_ended_by_database", kind=type(error).__name__, error=one_line(error))
    elif failure == Failure.ERROR:
        log.error("job_failed_unexpectedly", exc_info=error)
    return failure


def finish(job: Job, end: End, words: str) -> None:
    """Record the outcome, unless the job went to another worker."""
    _rows(job).update(
        state=end.state, result=end.result, failure=end.failure, error=end.error, progress=words,
        finished_at=timezone.now(), holder="",
    )  # fmt: skip


def _rows(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, holder=job.holder, state=State.RUNNING)


UNHEARD = timedelta(seconds=60)
KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class ResendReport:
    sent: int
    requeued: int
    ended: int
    """Given up after too many dead workers, or cancelled while the worker was dead."""
    pruned: int


def resend_jobs(*, now: datetime) -> ResendReport:
    """Resend, requeue, end and prune jobs. Each step is a conditional UPDATE, so concurrent runs do it once."""
    left = [job for job in Job.objects.filter(state=State.RUNNING) if is_abandoned(job, now)]
    ended = sum(_end(job, now) for job in left if not may_continue(job))
    requeued = sum(_requeue(job) for job in left if may_continue(job))
    pruned, _ = Job.objects.exclude(state__in=Job.ACTIVE).filter(created_at__lt=now - KEPT).delete()
    return ResendReport(_send_waiting(now), requeued, ended, pruned)


def _end(job: Job, now: datetime) -> int:
    how = {"state": State.CANCELLED, "error": "cancelled"}
    if not job.cancel_asked:
        words = f"its worker died {job.attempts} times"
        how = {"state": State.FAILED, "failure": Job.Failure.WORKER, "error": words}
    log.warning("job_given_up", job=job.pk, name=job.name, reason=how["error"])
    return _resendable(job).update(**how, finished_at=now, holder="")


def _requeue(job: Job) -> int:
    log.warning("job_left_by_dead_worker", job=job.pk, name=job.name, attempts=job.attempts)
    return _resendable(job).update(state=State.QUEUED, holder="", sent_at=None)


def _send_waiting(now: datetime) -> int:
    """Send jobs that no worker took for a minute. Stop if the broker is away; the next run tries again."""
    unheard = Q(sent_at=None) | Q(sent_at__lte=now - UNHEARD) | Q(sent_at__gt=now + AHEAD)
    sent = 0
    for job in Job.objects.filter(unheard, state=State.QUEUED).order_by("id"):
        if not Job.objects.filter(pk=job.pk, state=State.QUEUED, sent_at=job.sent_at).update(sent_at=now):
            continue
        try:
            services.send(job.pk)
        except NoBroker:
            break
        sent += 1
    return sent


def _resendable(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=State.RUNNING, holder=job.holder, seen_at=job.seen_at)
