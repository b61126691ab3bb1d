"""Running a job on a worker: claimed by a conditional UPDATE, run through its door, its end written down.

Stands beside a running job: gives its signs of life and progress, and hears when it is called off.

What the broker lost is sent again, what a dead worker left is queued again, what is old is forgotten.
"""

from __future__ import annotations

import threading
from contextvars import Token
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, connection
from django.db import Error as DbDatabaseError
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from fluxtracker.periods import AHEAD, is_fresh
from fluxtracker.upstream.http.client import WATCH, Cancelled, Watch
from fluxtracker.upstream.http.errors import UpstreamError
from ops import leases, registry
from ops.jobs import services
from ops.leases import LeaseLost, database_time
from ops.models import Job
from ops.runs import NotDone, one_line, public_words, report_of

log = structlog.get_logger(__name__)

EVERY_S = 2.0
LONGEST_PROGRESS = 200


class JobWatch:
    """A thread with a connection of its own, so that words said inside a transaction are seen outside of it."""

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
        """Until told to stop. A database that is gone for a moment is asked again at the next beat."""
        while not self._stop.wait(EVERY_S):
            try:
                self._look()
            except DbDatabaseError as error:
                log.warning("job_not_seen", error=type(error).__name__)
                connection.close()
        connection.close()

    def _look(self) -> None:
        if not self._row.update(seen_at=database_time(), progress=self._words):
            if not self._stop.is_set():  # else it has just ended
                self._lost.set()
        elif self._row.filter(cancel_asked=True).exists():
            self._cancelled.set()


MOST_ATTEMPTS = 4  # the first, and three more after workers that died
SILENT = timedelta(minutes=5)  # then a worker elsewhere counts as dead
LEASE_WAIT_S = 30.0

State, Failure = Job.State, Job.Failure


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended."""

    state: Job.State
    result: dict[str, Any] | None = None
    failure: str = ""
    error: str = ""


def run_job(job_id: int) -> None:
    """Run the job unless it is over, called off, or at work elsewhere."""
    job = claim(job_id, leases.database_now())
    if job is None:
        log.info("job_not_taken", job=job_id)
        return
    with structlog.contextvars.bound_contextvars(request_id=job.request_id, job=job.pk):
        log.info("job_started", name=job.name, attempt=job.attempts)
        with JobWatch(job) as watch:
            try:
                end = attempt(job)
            except BaseException:  # the worker is told to end: another goes on
                _rows(job).update(state=State.QUEUED, holder="", sent_at=None)
                raise
        finish(job, end, watch.words)
        log.info("job_ended", name=job.name, state=end.state, error=end.error)


def claim(job_id: int, now: datetime) -> Job | None:
    """Make the job ours when it is queued, or when the worker that had it is dead. None: it is not to be had."""
    row, holder = Job.objects.filter(pk=job_id), leases.make_holder()
    mine = {
        "state": State.RUNNING, "holder": holder, "started_at": now, "seen_at": now,
        "attempts": F("attempts") + 1, "progress": "",
    }  # fmt: skip
    if not row.filter(state=State.QUEUED).update(**mine):
        job = row.filter(state=State.RUNNING).first()
        if job is None or not is_abandoned(job, now) or job.cancel_asked or job.attempts >= MOST_ATTEMPTS:
            return None
        if not row.filter(state=State.RUNNING, holder=job.holder, seen_at=job.seen_at).update(**mine):
            return None
    return row.filter(holder=holder).first()


def is_abandoned(job: Job, now: datetime) -> bool:
    """Whether the worker of a running job is dead, as far as anybody can know. `now` by the database's clock."""
    return leases.is_dead(job.holder) or not is_fresh(job.seen_at, now, SILENT)


def attempt(job: Job) -> End:
    """Go through the door and answer how it ended."""
    try:
        result = registry.find(job.name).call(job.params, trigger=job.via, wait=LEASE_WAIT_S)
        return End(State.DONE, result=result)
    except Cancelled as error:
        return End(State.CANCELLED, error=one_line(error))
    except Exception as error:
        return End(State.FAILED, report_of(error) or None, _failure(error), public_words(error))


def _failure(error: Exception) -> Job.Failure:
    """What kind it is. What is not told to everybody is in the log."""
    if isinstance(error, leases.LeaseHeld):
        return Failure.RUNNING
    if isinstance(error, NotDone | leases.LeaseLost):
        return Failure.REFUSED
    if isinstance(error, UpstreamError):
        return Failure.UPSTREAM
    if isinstance(error, SoftTimeLimitExceeded):
        return Failure.WORKER
    if isinstance(error, DatabaseError):
        log.warning("job_ended_by_database", kind=type(error).__name__, error=one_line(error))
        return Failure.DATABASE
    log.error("job_failed_unforeseen", exc_info=error)
    return Failure.ERROR


def finish(job: Job, end: End, words: str) -> None:
    """Write down how it ended, unless the job went to another worker meanwhile."""
    _rows(job).update(
        state=end.state, result=end.result, failure=end.failure, error=end.error, progress=words,
        finished_at=timezone.now(), holder="",
    )  # fmt: skip


def _rows(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, holder=job.holder, state=State.RUNNING)


UNHEARD = timedelta(seconds=60)
KEPT = timedelta(days=90)

JobState = Job.State


@dataclass(frozen=True, slots=True)
class ResendReport:
    sent: int
    requeued: int
    ended: int
    """Given up after too many dead workers, or called off before a dead worker could see it."""
    pruned: int


def resend_jobs(*, now: datetime) -> ResendReport:
    """Each step is a conditional UPDATE: two that run at once do each thing once."""
    left = [job for job in Job.objects.filter(state=JobState.RUNNING) if is_abandoned(job, now)]
    ended = sum(_end(job, now) for job in left if job.cancel_asked or job.attempts >= MOST_ATTEMPTS)
    requeued = sum(_requeue(job) for job in left if not job.cancel_asked and job.attempts < MOST_ATTEMPTS)
    pruned, _ = Job.objects.exclude(state__in=Job.ACTIVE).filter(created_at__lt=now - KEPT).delete()
    return ResendReport(_send_waiting(now), requeued, ended, pruned)


def _end(job: Job, now: datetime) -> int:
    how = {"state": JobState.CANCELLED, "error": "cancelled"}
    if not job.cancel_asked:
        words = f"its worker died {job.attempts} times"
        how = {"state": JobState.FAILED, "failure": Job.Failure.WORKER, "error": words}
    log.warning("job_given_up", job=job.pk, name=job.name, reason=how["error"])
    return _resendable(job).update(**how, finished_at=now, holder="")


def _requeue(job: Job) -> int:
    log.warning("job_left_by_dead_worker", job=job.pk, name=job.name, attempts=job.attempts)
    return _resendable(job).update(state=JobState.QUEUED, holder="", sent_at=None)


def _send_waiting(now: datetime) -> int:
    """Those that nobody took for a minute. A broker that is away is asked again in a minute."""
    unheard = Q(sent_at=None) | Q(sent_at__lte=now - UNHEARD) | Q(sent_at__gt=now + AHEAD)
    sent = 0
    for job in Job.objects.filter(unheard, state=JobState.QUEUED).order_by("id"):
        if not Job.objects.filter(pk=job.pk, state=JobState.QUEUED, sent_at=job.sent_at).update(sent_at=now):
            continue
        try:
            services.send(job.pk)
        except services.NoBroker:
            break
        sent += 1
    return sent


def _resendable(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=JobState.RUNNING, holder=job.holder, seen_at=job.seen_at)
