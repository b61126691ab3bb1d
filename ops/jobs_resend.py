"""What the broker lost is sent again, what a dead worker left is queued again, what is old is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.models import Q, QuerySet

from fluxtracker.fresh import AHEAD
from ops import jobs_send
from ops.jobs_run import MOST_ATTEMPTS, is_abandoned
from ops.models import Job

log = structlog.get_logger(__name__)

UNHEARD = timedelta(seconds=60)
KEPT = timedelta(days=90)

State = Job.State


@dataclass(frozen=True, slots=True)
class ResendReport:
    sent: int
    requeued: int
    ended: int
    """Given up after too many dead workers, or called off before a dead worker could see it."""
    pruned: int


def resend_jobs(*, now: datetime) -> ResendReport:
    """Each step is a conditional UPDATE: two that run at once do each thing once."""
    left = [job for job in Job.objects.filter(state=State.RUNNING) if is_abandoned(job, now)]
    ended = sum(_end(job, now) for job in left if job.cancel_asked or job.attempts >= MOST_ATTEMPTS)
    requeued = sum(_requeue(job) for job in left if not job.cancel_asked and job.attempts < MOST_ATTEMPTS)
    pruned, _ = Job.objects.exclude(state__in=Job.ACTIVE).filter(created_at__lt=now - KEPT).delete()
    return ResendReport(_send_waiting(now), requeued, ended, pruned)


def _end(job: Job, now: datetime) -> int:
    how = {"state": State.CANCELLED, "error": "cancelled"}
    if not job.cancel_asked:
        words = f"its worker died {job.attempts} times"
        how = {"state": State.FAILED, "failure": Job.Failure.WORKER, "error": words}
    log.warning("job_given_up", job=job.pk, name=job.name, reason=how["error"])
    return _rows(job).update(**how, finished_at=now, holder="")


def _requeue(job: Job) -> int:
    log.warning("job_left_by_dead_worker", job=job.pk, name=job.name, attempts=job.attempts)
    return _rows(job).update(state=State.QUEUED, holder="", sent_at=None)


def _send_waiting(now: datetime) -> int:
    """Those that nobody took for a minute. A broker that is away is asked again in a minute."""
    unheard = Q(sent_at=None) | Q(sent_at__lte=now - UNHEARD) | Q(sent_at__gt=now + AHEAD)
    sent = 0
    for job in Job.objects.filter(unheard, state=State.QUEUED).order_by("id"):
        if not Job.objects.filter(pk=job.pk, state=State.QUEUED, sent_at=job.sent_at).update(sent_at=now):
            continue
        try:
            jobs_send.send(job.pk)
        except jobs_send.NoBroker:
            break
        sent += 1
    return sent


def _rows(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=State.RUNNING, holder=job.holder, seen_at=job.seen_at)
