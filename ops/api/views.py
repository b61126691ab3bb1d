"""Serve health checks and Prometheus, and let staff request, watch and cancel jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_cache_control
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from fluxtracker.api.conditional import never
from fluxtracker.api.fields import ErrorAnswer, OneOf, Page, PageQuery
from fluxtracker.api.negotiation import JSONRenderer
from fluxtracker.api.throttling import client_address
from fluxtracker.api.views import ERRORS, PublicView
from ops import audit_log, health, prometheus
from ops.access.authentication import IsStaff, StaffSession, TokenAuthentication
from ops.api import serializers
from ops.jobs import services
from ops.models import Job
from ops.registry import JobType, jobs


class HealthView(PublicView):
    """Health of the system."""

    name = "Health"

    @extend_schema(
        operation_id="health", tags=["health"], responses={200: serializers.HealthAnswer, 503: serializers.HealthAnswer}
    )
    def get(self, request: Request) -> Response:
        answer = health.report(timezone.now())
        return never(Response(answer, status=503 if answer["status"] == "error" else 200))


class LiveView(PublicView):
    """Whether this process answers."""

    name = "Live"

    @extend_schema(operation_id="health_live", tags=["health"], responses=serializers.LiveAnswer)
    def get(self, request: Request) -> Response:
        return never(Response({"status": "ok"}))


class ReadyView(PublicView):
    """Whether the database can be reached and is migrated."""

    name = "Ready"

    @extend_schema(
        operation_id="health_ready",
        tags=["health"],
        responses={200: serializers.ReadyAnswer, 503: serializers.ReadyAnswer},
    )
    def get(self, request: Request) -> Response:
        database = health.database_report(health.database_status())
        return never(
            Response({"status": database["status"], "db": database}, status=503 if "error" in database else 200)
        )


def may_scrape(request: HttpRequest) -> bool:
    """Return whether this is a direct client on this machine and METRICS_ON_LOOPBACK allows it."""
    return settings.METRICS_ON_LOOPBACK and client_address(request) is None


class StaffOrThisMachine(IsStaff):
    def has_permission(self, request: Request, view: object) -> bool:
        return may_scrape(request._request) or super().has_permission(request, view)


class MetricsView(APIView):
    """`/metrics` for Prometheus, with a staff token or from this machine. Errors are JSON."""

    permission_classes: Sequence[type[BasePermission]] = (StaffOrThisMachine,)
    renderer_classes = (JSONRenderer,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Return the only format, regardless of the Accept header."""
        return super().perform_content_negotiation(request, force=True)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Skip authentication on this machine, as some metrics need no database."""
        request = self.request
        return [] if request is not None and may_scrape(request) else super().get_authenticators()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        response = HttpResponse(prometheus.text(timezone.now()), content_type=CONTENT_TYPE_PLAIN_0_0_4)
        patch_cache_control(response, no_store=True)
        return response


class StaffView(APIView):
    """Base of staff endpoints, by token or session: 401 for strangers, 403 for other users. Never cached."""

    authentication_classes = (TokenAuthentication, StaffSession)
    permission_classes = (IsStaff,)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer: HttpResponseBase | Response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(answer, private=True, no_store=True)
        return answer


def staff_of(request: Request) -> User:
    """Return the user admitted by the permission."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101  for the types: IsStaff has seen to it
    return user


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describe tokens in the OpenAPI schema."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <token>`; `manage.py create_api_token USER` makes one.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describe sessions, which need the header X-CSRFToken for writes."""

    target_class = StaffSession
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


REFUSED = {
    401: OpenApiResponse(ErrorAnswer, "Not signed in, or the token is not valid."),
    403: OpenApiResponse(ErrorAnswer, "The user is not staff, or the session's request lacks its CSRF token."),
}
UNACCEPTABLE = {
    400: OpenApiResponse(
        ErrorAnswer, "A value is wrong, or the body is neither JSON nor a form; the answer says what is allowed."
    ),
}
NO_SUCH_JOB = OpenApiResponse(ErrorAnswer, "There is no job with that number.")
CONFLICT = OpenApiResponse(
    serializers.FailedAnswer,
    "`alreadyRunning` true: a job of that name is active, or another process does that work. False: it ran and "
    "could not finish, or was cancelled; `error` says why.",
)
AWAY = OpenApiResponse(
    serializers.FailedAnswer,
    "The broker, the database, or an upstream that the work needs does not answer for now; Retry-After says when to "
    "ask again. With `job` the job was run and has failed.",
)


State, Failure = Job.State, Job.Failure
# 409: retrying at once would fail again. 503: a dependency is temporarily unavailable.
CODES = {
    **dict.fromkeys((Failure.RUNNING, Failure.REFUSED), 409),
    **dict.fromkeys((Failure.UPSTREAM, Failure.DATABASE, Failure.BROKER, Failure.WORKER), 503),
}
RETRY_AFTER_S = 60


def answer_for(job: Job, request: Request) -> Response:
    """Return the response to a request that has waited for the job."""
    if job.state == State.DONE:
        return Response({"success": True, "job": job.pk} | (job.result or {}))
    if job.state in Job.ACTIVE:
        body = under_way(job, request)
        return Response(body, status=202, headers={"Location": body["url"]})
    return failed(job)


def failed(job: Job) -> Response:
    """Return the response about a failed or cancelled job, with the partial report of its run."""
    body = {
        **(job.result or {}), "success": False, "alreadyRunning": job.failure == Failure.RUNNING, "error": job.error,
        "job": job.pk, "status": job.state,
    }  # fmt: skip
    code = 409 if job.state == State.CANCELLED else CODES.get(Failure(job.failure), 500)
    return Response(body, status=code, headers={"Retry-After": str(RETRY_AFTER_S)} if code == 503 else None)


def under_way(job: Job, request: Request) -> dict[str, Any]:
    return {"success": True, "job": job.pk, "status": job.state, "url": url_of(job, request)}


def conflict(message: str, job: Job | None, *, is_running: bool) -> Response:
    about = {"job": job.pk, "status": job.state} if job else {}
    return Response({"success": False, "alreadyRunning": is_running, "error": message, **about}, status=409)


def row_of(job: Job, request: Request) -> dict[str, Any]:
    """Return the data of `JobAnswer`."""
    return {**vars(job), "failure": job.failure or None, "url": url_of(job, request)}


def url_of(job: Job, request: Request) -> str:
    return reverse("job", args=[job.pk], request=request)


class JobRequestView(StaffView):
    """Requests a job and waits for its result, at most `wait` seconds."""

    job_type: ClassVar[JobType]

    def post(self, request: Request) -> Response:
        body = request.data
        seconds = wait_of(request)
        try:
            job = services.request_job(
                self.job_type.name,
                body,
                user=staff_of(request),
                address=audit_log.address_of(request._request),
                via="api",
            )
        except services.AlreadyRunning as error:
            return conflict(str(error), error.job, is_running=True)
        except services.NotSent as error:
            return failed(error.job)
        return answer_for(services.wait_for(job, seconds), request)


def wait_of(request: Request) -> float:
    """Return how long to wait, from the query or the body."""
    body = request.data if isinstance(request.data, dict) else {}
    given = request.query_params if "wait" in request.query_params else body
    return float(serializers.WaitQuery.read(given)["wait"])


def job_request_view(job: JobType) -> Any:
    """Return the view that requests this job, described with its parameters and result."""
    word = job.name.replace("-", "_")
    described = extend_schema(
        operation_id=f"ask_{word}",
        tags=["jobs"],
        summary=job.help,
        parameters=[serializers.WaitQuery],
        request=job.serializer if job.params else None,
        responses={
            200: OpenApiResponse(job.result(serializers.Asked), "It is done; the keys are the command's."),
            202: OpenApiResponse(serializers.UnderWayAnswer, "It is running, or waiting for a worker."),
            409: CONFLICT, **UNACCEPTABLE, **REFUSED, **ERRORS, 503: AWAY,
        },
    )  # fmt: skip
    attributes = {"job_type": job, "__doc__": job.help}
    view: type[JobRequestView] = type(f"{word.title().replace('_', '')}View", (JobRequestView,), attributes)
    return extend_schema_view(post=described)(view).as_view()


COLUMNS = {"name": "name", "status": "state"}


class JobsQuery(PageQuery):
    name = OneOf(list(jobs()), required=False, help_text="Only jobs of this name.")
    status = OneOf(list(Job.State.values), required=False, help_text="Only jobs in this state.")


class JobsView(StaffView):
    """The jobs, newest first."""

    name = "Jobs"

    @extend_schema(
        operation_id="jobs",
        tags=["jobs"],
        parameters=[JobsQuery],
        responses={200: serializers.JobsPage, 400: UNACCEPTABLE[400], **REFUSED, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        query = JobsQuery.read(request.query_params)
        jobs = Job.objects.filter(**{COLUMNS[key]: query[key] for key in COLUMNS if query.get(key)})
        page = Page.of(jobs.order_by("-id"), query)
        rows = [row_of(job, request) for job in page.rows]
        return Response(serializers.JobsPage.write(replace(page, rows=rows)))


NUMBER = OpenApiParameter("number", {"type": "integer", "minimum": 1}, OpenApiParameter.PATH)


class JobView(StaffView):
    """One job."""

    name = "Job"

    @extend_schema(
        operation_id="job", tags=["jobs"], parameters=[NUMBER],
        responses={200: serializers.JobAnswer, 404: NO_SUCH_JOB, **REFUSED, **ERRORS},
    )  # fmt: skip
    def get(self, request: Request, number: int) -> Response:
        return Response(serializers.JobAnswer.write(row_of(find(number), request)))


class CancelView(StaffView):
    """Cancels a job: at once if queued, at its next step if running."""

    name = "Cancel"

    @extend_schema(
        operation_id="cancel_job", tags=["jobs"], parameters=[NUMBER], request=None,
        responses={
            200: OpenApiResponse(serializers.UnderWayAnswer, "It is cancelled."),
            202: OpenApiResponse(serializers.UnderWayAnswer, "It is running and will stop."),
            404: NO_SUCH_JOB, 409: OpenApiResponse(serializers.FailedAnswer, "It has already ended."),
            **REFUSED, **ERRORS,
        },
    )  # fmt: skip
    def post(self, request: Request, number: int) -> HttpResponseBase:
        job = find(number)
        try:
            job = services.cancel(job, user=staff_of(request), address=audit_log.address_of(request._request))
        except services.AlreadyOver as error:
            return conflict(str(error), job, is_running=False)
        body = under_way(job, request)
        return Response(body, status=200 if job.state == State.CANCELLED else 202)


def find(number: int) -> Job:
    job = Job.objects.filter(pk=number).first()
    if job is None:
        raise exceptions.NotFound(f"there is no job {number}; /api/admin/jobs lists them")
    return job
