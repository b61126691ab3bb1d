"""Request, await and cancel jobs, for API and admin."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog
from celery import current_app
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from fluxtracker.api.throttling import Places
from ops import audit_log, broker, leases, registry
from ops.broker import NoBroker
from ops.models import Job
from ops.registry import JobType
from ops.status import words

log = structlog.get_logger(__name__)

TASK = "ops.tasks.run_job"
TIMEOUT_S = 3.0
EXPIRES_S = 120  # then the message is dropped, as a newer one is sent (ops.jobs.worker)


def send(job_id: int) -> None:
    """Send the job's number to the broker. Raise NoBroker within seconds if that fails."""
    try:
        with broker.connect(TIMEOUT_S) as connection:
            current_app.send_task(
                TASK, args=[job_id], connection=connection, retry=False, ignore_result=True, expires=EXPIRES_S
            )
    except NoBroker as error:
        log.warning("job_not_sent", job=job_id, code=error.status.code)
        raise


POLL_S = 0.15
MOST_WAITING, LONGEST_WAIT_S = 2, 60.0  # requests waiting for a result (docs/contract.md#api)
places = Places("waiting requests", MOST_WAITING, LONGEST_WAIT_S)


class AlreadyRunning(Exception):
    """The job is already queued or running. `job` None: run by the schedule or a command."""

    def __init__(self, words: str, job: Job | None) -> None:
        super().__init__(words)
        self.job = job


class AlreadyOver(Exception):
    """The job has ended and cannot be cancelled."""


class NotSent(Exception):
    """The broker did not accept the job, which will not run."""

    def __init__(self, job: Job) -> None:
        super().__init__("the broker does not answer, so no worker can run the job; try again when it is back")
        self.job = job


def request_job(name: str, params: object, *, user: User, address: str | None, via: str) -> Job:
    """Request a job: check it, store it, and send it to the broker. Call outside a transaction.

    `params` as in a request's body. UnknownJob; DRF's ValidationError for wrong ones; AlreadyRunning; NotSent.
    """
    job_type = registry.find(name)
    entry: dict[str, Any] = {"actor": user.get_username(), "address": address, "action": f"job {name}"}
    try:
        values = job_type.checked(params)
    except ValidationError:
        if "confirm" in job_type.params:  # destructive and not confirmed
            audit_log.record_if_possible(**entry, outcome=audit_log.REFUSED, detail={"reason": "not confirmed"})
        raise
    try:
        _refuse_duplicate(job_type, values)
        job = _create(job_type, values, user, via)
    except AlreadyRunning as error:
        audit_log.record(**entry, outcome=audit_log.REFUSED, detail={"reason": str(error)})
        raise
    audit_log.record(**entry, outcome=audit_log.ASKED, detail={"job": job.pk, **values})
    _send(job)
    return job


def wait_for(job: Job, seconds: float) -> Job:
    """Return the job when it is over or after this many seconds, at once if two requests already wait."""
    if seconds <= 0 or (place := places.take()) is None:
        return _fresh(job)
    try:
        give_up = time.monotonic() + seconds
        while (job := _fresh(job)).state in Job.ACTIVE and time.monotonic() < give_up:
            time.sleep(POLL_S)
        return job
    finally:
        places.give_back(place)


def cancel(job: Job, *, user: User, address: str | None) -> Job:
    """Cancel a job: at once if queued, at its next step if running. Raise AlreadyOver."""
    row, reason = Job.objects.filter(pk=job.pk), f"cancelled by {user.get_username()}"
    off = {"state": Job.State.CANCELLED, "finished_at": timezone.now(), "error": reason}
    if not (
        row.filter(state=Job.State.QUEUED).update(**off)
        or row.filter(state=Job.State.RUNNING).update(cancel_asked=True)
    ):
        raise AlreadyOver(f"the job is over already: {_fresh(job).state}")
    audit_log.record(
        actor=user.get_username(), address=address, action="cancel job", outcome=audit_log.ASKED,
        detail={"job": job.pk, "name": job.name},
    )  # fmt: skip
    return _fresh(job)


def active(name: str) -> Job | None:
    return Job.objects.filter(name=name, state__in=Job.ACTIVE).first()


def _refuse_duplicate(job_type: JobType, values: Mapping[str, Any]) -> None:
    """Allow one job per name and per lease, as a job just started may not hold its lease yet."""
    name = job_type.lease_for(values)
    for job in Job.objects.filter(state__in=Job.ACTIVE):
        other = registry.jobs().get(job.name)
        if job.name == job_type.name or (other and other.lease_for(job.params) == name):
            raise AlreadyRunning(f"{job.name} is already {job.state} (job {job.pk})", job)
    if (holder := leases.holder_of(name)) is not None:
        raise AlreadyRunning(str(leases.LeaseHeld(name, holder)), None)


def _create(job_type: JobType, values: dict[str, Any], user: User, via: str) -> Job:
    now = timezone.now()
    try:
        with transaction.atomic():
            return Job.objects.create(
                name=job_type.name, params=values, user=user, actor=user.get_username(), via=via,
                request_id=audit_log.request_id(), created_at=now, sent_at=now,
            )  # fmt: skip
    except IntegrityError:  # another request was faster
        raise AlreadyRunning(f"{job_type.name} is already queued", active(job_type.name)) from None


def _send(job: Job) -> None:
    try:
        send(job.pk)
    except NoBroker as error:
        now = timezone.now()
        unsent = Job.objects.filter(pk=job.pk, state=Job.State.QUEUED)
        if unsent.update(
            state=Job.State.FAILED, failure=Job.Failure.BROKER, error=words(error.status, now), finished_at=now
        ):
            raise NotSent(_fresh(job)) from error


def _fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)
