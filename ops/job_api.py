"""Jobs under /api/admin/: one POST for each verb, the list, one job, and calling it off."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api.answers import ErrorAnswer
from fluxtracker.api.pagination import page_of
from fluxtracker.api.params import OneOf, PageQuery, read
from fluxtracker.api.views import ERRORS
from ops import audit, job_answers, job_wire, jobs
from ops.jobs_forms import WaitQuery, form_of
from ops.jobs_table import BY_NAME, NAMES, Verb
from ops.models import Job
from ops.staff import StaffView, staff_of

REFUSED = {
    401: OpenApiResponse(ErrorAnswer, "Nobody is signed in, or the token opens nothing."),
    403: OpenApiResponse(ErrorAnswer, "The user is not staff, or the session's request lacks its CSRF token."),
}
UNACCEPTABLE = {
    400: OpenApiResponse(
        ErrorAnswer, "A value is wrong, or the body is neither JSON nor a form; the answer says what is allowed."
    ),
}
NO_SUCH_JOB = OpenApiResponse(ErrorAnswer, "There is no job of that number.")
CONFLICT = OpenApiResponse(
    job_answers.FailedAnswer,
    "`alreadyRunning` true: a job of that name is active, or somebody is at that work. False: it was run and could "
    "not be done as things stand, or was called off; `error` says why.",
)
AWAY = OpenApiResponse(
    job_answers.FailedAnswer,
    "The broker, the database, or an upstream that the work needs does not answer for now; Retry-After says when to "
    "ask again. With `job` the job was run and has failed.",
)


class VerbView(StaffView):
    """Asks for a job and waits for its result, as long as `wait` says."""

    verb: ClassVar[Verb]

    def post(self, request: Request) -> Response:
        body = request.data
        seconds = wait_of(request)
        try:
            job = jobs.request_job(
                self.verb.name, body, user=staff_of(request), address=audit.address_of(request._request), via="api"
            )
        except jobs.AlreadyRunning as error:
            return job_wire.running(str(error), error.job)
        except jobs.NotSent as error:
            return job_wire.failed(error.job)
        return job_wire.answer_for(jobs.wait_for(job, seconds), request)


def wait_of(request: Request) -> float:
    """From the query, else from the body."""
    body = request.data if isinstance(request.data, dict) else {}
    told = next((given for given in (request.query_params, body) if "wait" in given), {})
    form = WaitQuery(data={key: told[key] for key in told if key == "wait"})
    form.is_valid(raise_exception=True)
    return float(form.validated_data["wait"])


def verb_view(name: str) -> Any:
    """The view of one verb, described with its own parameters and result."""
    verb = BY_NAME[name]
    word = name.replace("-", "_")
    described = extend_schema(
        operation_id=f"ask_{word}",
        tags=["jobs"],
        summary=verb.words,
        parameters=[WaitQuery],
        request=form_of(verb) if form_of(verb)._declared_fields else None,
        responses={
            200: OpenApiResponse(job_answers.RESULTS[name], "It is done; the keys are the command's."),
            202: OpenApiResponse(job_answers.UnderWayAnswer, "It is under way, or waits for a worker."),
            409: CONFLICT, **UNACCEPTABLE, **REFUSED, **ERRORS, 503: AWAY,
        },
    )  # fmt: skip
    attributes = {"verb": verb, "__doc__": verb.words}
    view: type[VerbView] = type(f"{word.title().replace('_', '')}View", (VerbView,), attributes)
    return extend_schema_view(post=described)(view).as_view()


class JobsQuery(PageQuery):
    name = OneOf(NAMES, required=False, help_text="Only jobs of this name.")
    status = OneOf(list(Job.State.values), required=False, help_text="Only jobs that stand so.")


class JobsView(StaffView):
    """The jobs, newest first."""

    name = "Jobs"

    @extend_schema(
        operation_id="jobs",
        tags=["jobs"],
        parameters=[JobsQuery],
        responses={200: job_answers.JobsPage, 400: UNACCEPTABLE[400], **REFUSED, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        query = read(JobsQuery, request)
        page, limit = query["page"], query["limit"]
        rows = Job.objects.all()
        for key, column in (("name", "name"), ("status", "state")):
            rows = rows.filter(**{column: query[key]}) if query.get(key) else rows
        total, start = rows.count(), (page - 1) * limit
        found = rows.order_by("-id")[start : start + limit] if start < total else []
        shown = [job_wire.job_report(job, request) for job in found]
        return Response(page_of("jobs", shown, total=total, page=page, limit=limit))


NUMBER = OpenApiParameter("number", {"type": "integer", "minimum": 1}, OpenApiParameter.PATH)


class JobView(StaffView):
    """One job."""

    name = "Job"

    @extend_schema(
        operation_id="job", tags=["jobs"], parameters=[NUMBER],
        responses={200: job_answers.JobAnswer, 404: NO_SUCH_JOB, **REFUSED, **ERRORS},
    )  # fmt: skip
    def get(self, request: Request, number: int) -> Response:
        return Response(job_wire.job_report(find(number), request))


class CancelView(StaffView):
    """Calls a job off: at once while it is queued, at its next step while it runs."""

    name = "Cancel"

    @extend_schema(
        operation_id="cancel_job", tags=["jobs"], parameters=[NUMBER], request=None,
        responses={
            200: OpenApiResponse(job_answers.UnderWayAnswer, "It is cancelled."),
            202: OpenApiResponse(job_answers.UnderWayAnswer, "It runs and is told to stop."),
            404: NO_SUCH_JOB, 409: OpenApiResponse(job_answers.FailedAnswer, "It is over already."),
            **REFUSED, **ERRORS,
        },
    )  # fmt: skip
    def post(self, request: Request, number: int) -> HttpResponseBase:
        job = find(number)
        try:
            job = jobs.cancel(job, user=staff_of(request), address=audit.address_of(request._request))
        except jobs.AlreadyOver as error:
            told = {"success": False, "alreadyRunning": False, "error": str(error), "job": job.pk, "status": job.state}
            return Response(told, status=status.HTTP_409_CONFLICT)
        told = {"success": True, "job": job.pk, "status": job.state, "url": job_wire.url_of(job, request)}
        return Response(told, status=200 if job.state == Job.State.CANCELLED else status.HTTP_202_ACCEPTED)


def find(number: int) -> Job:
    job = Job.objects.filter(pk=number).first()
    if job is None:
        raise exceptions.NotFound(f"there is no job {number}; /api/admin/jobs lists them")
    return job
