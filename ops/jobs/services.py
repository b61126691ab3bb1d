"""Asking for a job, waiting for it, and calling it off. API and admin come through here.

A job goes to the broker: its number and nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import structlog
from celery import current_app
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from kombu.exceptions import KombuError
from redis.exceptions import RedisError
from rest_framework.exceptions import ValidationError

from ops import audit, leases, registry
from ops.health import broker_words
from ops.models import Job
from ops.registry import JobType

log = structlog.get_logger(__name__)

TASK = "ops.tasks.run_job"
TIMEOUT_S = 3.0
EXPIRES_S = 120  # then the message is dropped: a newer one is under way (ops.jobs.runner)


class NoBroker(Exception):
    """The broker does not answer, or takes no writes."""


def send(job_id: int) -> None:
    """NoBroker within some seconds when it cannot be reached; its address may hold a password and is not told."""
    options = {
        **current_app.conf.broker_transport_options,
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "max_retries": 0,
    }
    try:
        with current_app.connection_for_write(transport_options=options) as broker:
            current_app.send_task(
                TASK, args=[job_id], connection=broker, retry=False, ignore_result=True, expires=EXPIRES_S
            )
    except (RedisError, KombuError, OSError) as error:
        log.warning("job_not_sent", job=job_id, error=type(error).__name__)
        raise NoBroker(broker_words(error)) from error


POLL_S = 0.15
MOST_WAITING = 2  # requests of a process that wait for a result (docs/contract.md#api)
_places = threading.BoundedSemaphore(MOST_WAITING)


class AlreadyRunning(Exception):
    """The work is asked for already, or somebody is at it. `job` None: the schedule or a command is."""

    def __init__(self, words: str, job: Job | None) -> None:
        super().__init__(words)
        self.job = job


class AlreadyOver(Exception):
    """There is nothing left to call off."""


class NotSent(NoBroker):
    """The broker does not answer; the job's row says so and it will not run."""

    def __init__(self, job: Job) -> None:
        super().__init__("the broker does not answer, so no worker would hear of the job; try again when it is back")
        self.job = job


def request_job(name: str, params: object, *, user: User, address: str | None, via: str) -> Job:
    """Ask for a job: checked, written down, and given to the broker. Not inside a transaction.

    `params` as a request's body has them. UnknownJob; DRF's ValidationError for wrong ones; AlreadyRunning; NotSent.
    """
    job_type = registry.find(name)
    values = _checked(job_type, params, user, address)
    try:
        _refuse_a_second(job_type, values)
        job = _create(job_type, values, user, via)
    except AlreadyRunning as error:
        _audit(job_type, user, address, audit.REFUSED, {"reason": str(error)})
        raise
    _audit(job_type, user, address, audit.ASKED, {"job": job.pk, **values})
    _send(job)
    return job


def _checked(job_type: JobType, params: object, user: User, address: str | None) -> dict[str, Any]:
    """What destroys and was not confirmed is a refusal that the audit log knows."""
    try:
        return job_type.checked(params)
    except ValidationError:
        if "confirm" in job_type.params:
            audit.record_if_possible(
                actor=user.get_username(), address=address, action=f"job {job_type.name}", outcome=audit.REFUSED,
                detail={"reason": "not confirmed"},
            )  # fmt: skip
        raise


def wait_for(job: Job, seconds: float) -> Job:
    """The job when it is over, or as it is after so many seconds; at once when two requests wait already."""
    if seconds <= 0 or not _places.acquire(blocking=False):
        return _fresh(job)
    try:
        give_up = time.monotonic() + seconds
        while (job := _fresh(job)).state in Job.ACTIVE and time.monotonic() < give_up:
            time.sleep(POLL_S)
        return job
    finally:
        _places.release()


def cancel(job: Job, *, user: User, address: str | None) -> Job:
    """Call a job off: at once while it is queued, at its next step while it runs. AlreadyOver."""
    row, words = Job.objects.filter(pk=job.pk), f"cancelled by {user.get_username()}"
    off = {"state": Job.State.CANCELLED, "finished_at": timezone.now(), "error": words}
    if not (
        row.filter(state=Job.State.QUEUED).update(**off)
        or row.filter(state=Job.State.RUNNING).update(cancel_asked=True)
    ):
        raise AlreadyOver(f"the job is over already: {_fresh(job).state}")
    audit.record(
        actor=user.get_username(), address=address, action="cancel job", outcome=audit.ASKED,
        detail={"job": job.pk, "name": job.name},
    )  # fmt: skip
    return _fresh(job)


def active(name: str) -> Job | None:
    return Job.objects.filter(name=name, state__in=Job.ACTIVE).first()


def _refuse_a_second(job_type: JobType, values: Mapping[str, Any]) -> None:
    """One of a name, and one of a lease: a job that was just started may not hold its lease yet."""
    name = job_type.lease_for(values)
    for job in Job.objects.filter(state__in=Job.ACTIVE):
        other = registry.JOBS.get(job.name)
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
                request_id=audit.request_id(), created_at=now, sent_at=now,
            )  # fmt: skip
    except IntegrityError:  # another request was faster
        raise AlreadyRunning(f"{job_type.name} is already queued", active(job_type.name)) from None


def _send(job: Job) -> None:
    try:
        send(job.pk)
    except NoBroker as error:
        unsent = Job.objects.filter(pk=job.pk, state=Job.State.QUEUED)
        if unsent.update(
            state=Job.State.FAILED, failure=Job.Failure.BROKER, error=str(error), finished_at=timezone.now()
        ):
            raise NotSent(_fresh(job)) from error


def _audit(job_type: JobType, user: User, address: str | None, outcome: str, detail: dict[str, Any]) -> None:
    audit.record(
        actor=user.get_username(), address=address, action=f"job {job_type.name}", outcome=outcome, detail=detail
    )


def _fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)
