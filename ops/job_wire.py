"""Jobs as the API writes them, and which status tells how one ended."""

from __future__ import annotations

from typing import Any

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from ops.health import iso
from ops.models import Job

State, Failure = Job.State, Job.Failure

# 409: asking again at once would end alike. 503: something that it needs is away for now.
STATUS = {
    Failure.RUNNING: status.HTTP_409_CONFLICT,
    Failure.REFUSED: status.HTTP_409_CONFLICT,
    Failure.UPSTREAM: status.HTTP_503_SERVICE_UNAVAILABLE,
    Failure.DATABASE: status.HTTP_503_SERVICE_UNAVAILABLE,
    Failure.BROKER: status.HTTP_503_SERVICE_UNAVAILABLE,
    Failure.WORKER: status.HTTP_503_SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = 60


def job_report(job: Job, request: Request) -> dict[str, Any]:
    return {
        "id": job.pk,
        "name": job.name,
        "params": job.params,
        "status": job.state,
        "actor": job.actor,
        "via": job.via,
        "createdAt": iso(job.created_at),
        "startedAt": iso(job.started_at),
        "seenAt": iso(job.seen_at),
        "finishedAt": iso(job.finished_at),
        "attempts": job.attempts,
        "progress": job.progress or None,
        "cancelAsked": job.cancel_asked,
        "result": job.result,
        "failure": job.failure or None,
        "error": job.error or None,
        "requestId": job.request_id or None,
        "url": url_of(job, request),
    }


def url_of(job: Job, request: Request) -> str:
    return reverse("job", args=[job.pk], request=request)


def answer_for(job: Job, request: Request) -> Response:
    """What a request that waited for the job is told."""
    if job.state == State.DONE:
        return Response({"success": True, "job": job.pk} | (job.result or {}))
    if job.state in Job.ACTIVE:
        where = url_of(job, request)
        told = {"success": True, "job": job.pk, "status": job.state, "url": where}
        return Response(told, status=status.HTTP_202_ACCEPTED, headers={"Location": where})
    return failed(job)


def failed(job: Job) -> Response:
    """It did not come to its end. What the command would have reported is told as well."""
    body = {
        **(job.result or {}),
        "success": False,
        "alreadyRunning": job.failure == Failure.RUNNING,
        "error": job.error,
        "job": job.pk,
        "status": job.state,
    }
    if job.state == State.CANCELLED:
        return Response(body, status=status.HTTP_409_CONFLICT)
    code = STATUS.get(Failure(job.failure), status.HTTP_500_INTERNAL_SERVER_ERROR)
    later = {"Retry-After": str(RETRY_AFTER_S)} if code == status.HTTP_503_SERVICE_UNAVAILABLE else {}
    return Response(body, status=code, headers=later)


def running(words: str, job: Job | None) -> Response:
    body: dict[str, Any] = {"success": False, "alreadyRunning": True, "error": words}
    if job:
        body |= {"job": job.pk, "status": job.state}
    return Response(body, status=status.HTTP_409_CONFLICT)
