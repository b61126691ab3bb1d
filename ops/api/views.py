"""Jobs under /api/admin/: one POST for each job, the list, one job, and calling it off.

`/api/health` and its two short forms for machines. Monitors may ask as often as they like.

`/metrics`: for a Prometheus that shows a token of the staff; METRICS_ON_LOOPBACK lets one on this machine in.

The base of endpoints for the staff.
"""

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
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fluxtracker.api.conditional import never
from fluxtracker.api.fields import ErrorAnswer, OneOf, Page, PageQuery
from fluxtracker.api.negotiation import JSONRenderer
from fluxtracker.api.throttling import client_address
from fluxtracker.api.views import ERRORS, PublicView
from ops import audit, health, prometheus
from ops.access.authentication import IsStaff, StaffSession, TokenAuthentication
from ops.api import serializers
from ops.jobs import services
from ops.models import Job
from ops.registry import JobType, jobs


class HealthView(PublicView):
    """How the system is."""

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


def needs_nothing(request: HttpRequest) -> bool:
    """Whether it is a direct client on this machine, and those are let in. Else one is a stranger until told who."""
    return settings.METRICS_ON_LOOPBACK and client_address(request) is None


class StaffOrThisMachine(IsStaff):
    def has_permission(self, request: Request, view: object) -> bool:
        return needs_nothing(request._request) or super().has_permission(request, view)


class MetricsView(APIView):
    """Errors are JSON, as everywhere."""

    permission_classes: Sequence[type[BasePermission]] = (StaffOrThisMachine,)
    renderer_classes = (JSONRenderer,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """There is one form, whatever is asked for."""
        return super().perform_content_negotiation(request, force=True)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Whom nobody asks needs no database: without one there is still something to tell."""
        request = self.request
        return [] if request is not None and needs_nothing(request) else super().get_authenticators()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        response = HttpResponse(prometheus.text(timezone.now()), content_type=CONTENT_TYPE_PLAIN_0_0_4)
        patch_cache_control(response, no_store=True)
        return response


class StaffView(APIView):
    """By token or session: 401 for strangers, 403 for who is not staff. Its answers are kept nowhere."""

    authentication_classes = (TokenAuthentication, StaffSession)
    permission_classes = (IsStaff,)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer: HttpResponseBase | Response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(answer, private=True, no_store=True)
        return answer


def staff_of(request: Request) -> User:
    """The user that the permission has let through."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101  for the types: IsStaff has seen to it
    return user


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API's description tells of tokens."""

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
    """A session, with the header X-CSRFToken for writes."""

    target_class = StaffSession
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


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
    serializers.FailedAnswer,
    "`alreadyRunning` true: a job of that name is active, or somebody is at that work. False: it was run and could "
    "not be done as things stand, or was called off; `error` says why.",
)
AWAY = OpenApiResponse(
    serializers.FailedAnswer,
    "The broker, the database, or an upstream that the work needs does not answer for now; Retry-After says when to "
    "ask again. With `job` the job was run and has failed.",
)


class AskView(StaffView):
    """Asks for a job and waits for its result, as long as `wait` says."""

    job_type: ClassVar[JobType]

    def post(self, request: Request) -> Response:
        body = request.data
        seconds = wait_of(request)
        try:
            job = services.request_job(
                self.job_type.name, body, user=staff_of(request), address=audit.address_of(request._request), via="api"
            )
        except services.AlreadyRunning as error:
            return serializers.conflict(str(error), error.job, is_running=True)
        except services.NotSent as error:
            return serializers.failed(error.job)
        return serializers.answer_for(services.wait_for(job, seconds), request)


def wait_of(request: Request) -> float:
    """From the query, else from the body."""
    body = request.data if isinstance(request.data, dict) else {}
    given = request.query_params if "wait" in request.query_params else body
    return float(serializers.WaitQuery.read(given)["wait"])


def ask_view(job: JobType) -> Any:
    """Return the view that asks for this job, described with its own parameters and result."""
    word = job.name.replace("-", "_")
    described = extend_schema(
        operation_id=f"ask_{word}",
        tags=["jobs"],
        summary=job.help,
        parameters=[serializers.WaitQuery],
        request=job.serializer if job.params else None,
        responses={
            200: OpenApiResponse(job.result(serializers.Asked), "It is done; the keys are the command's."),
            202: OpenApiResponse(serializers.UnderWayAnswer, "It is under way, or waits for a worker."),
            409: CONFLICT, **UNACCEPTABLE, **REFUSED, **ERRORS, 503: AWAY,
        },
    )  # fmt: skip
    attributes = {"job_type": job, "__doc__": job.help}
    view: type[AskView] = type(f"{word.title().replace('_', '')}View", (AskView,), attributes)
    return extend_schema_view(post=described)(view).as_view()


COLUMNS = {"name": "name", "status": "state"}


class JobsQuery(PageQuery):
    name = OneOf(list(jobs()), required=False, help_text="Only jobs of this name.")
    status = OneOf(list(Job.State.values), required=False, help_text="Only jobs that stand so.")


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
        found = Job.objects.filter(**{COLUMNS[key]: query[key] for key in COLUMNS if query.get(key)})
        page = Page.of(found.order_by("-id"), query)
        rows = [serializers.job_row(job, request) for job in page.rows]
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
        return Response(serializers.JobAnswer.write(serializers.job_row(find(number), request)))


class CancelView(StaffView):
    """Calls a job off: at once while it is queued, at its next step while it runs."""

    name = "Cancel"

    @extend_schema(
        operation_id="cancel_job", tags=["jobs"], parameters=[NUMBER], request=None,
        responses={
            200: OpenApiResponse(serializers.UnderWayAnswer, "It is cancelled."),
            202: OpenApiResponse(serializers.UnderWayAnswer, "It runs and is told to stop."),
            404: NO_SUCH_JOB, 409: OpenApiResponse(serializers.FailedAnswer, "It is over already."),
            **REFUSED, **ERRORS,
        },
    )  # fmt: skip
    def post(self, request: Request, number: int) -> HttpResponseBase:
        job = find(number)
        try:
            job = services.cancel(job, user=staff_of(request), address=audit.address_of(request._request))
        except services.AlreadyOver as error:
            return serializers.conflict(str(error), job, is_running=False)
        body = serializers.under_way(job, request)
        return Response(body, status=200 if job.state == Job.State.CANCELLED else status.HTTP_202_ACCEPTED)


def find(number: int) -> Job:
    job = Job.objects.filter(pk=number).first()
    if job is None:
        raise exceptions.NotFound(f"there is no job {number}; /api/admin/jobs lists them")
    return job
