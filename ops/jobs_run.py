"""Running a job on a worker: claimed by a conditional UPDATE, run through its door, its end written down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError
from django.db.models import F, QuerySet
from django.utils import timezone

from fluxtracker.fresh import is_fresh
from fluxtracker.upstream.errors import UpstreamError
from fluxtracker.watch import Cancelled
from ops import jobs_table, leases
from ops.jobs_watch import JobWatch
from ops.models import Job
from ops.runs import NotDone, one_line, public_words, report_of

log = structlog.get_logger(__name__)

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
        verb = jobs_table.find(job.name)
        return End(State.DONE, result=verb.call(job.params, trigger=job.via, wait=LEASE_WAIT_S))
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
