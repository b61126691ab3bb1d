"""`/api/health` and its two short forms for machines. Monitors may ask as often as they like."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api.caching import never
from fluxtracker.api.views import PublicView
from ops import answers, health


class HealthView(PublicView):
    """How the system is."""

    name = "Health"

    @extend_schema(
        operation_id="health", tags=["health"], responses={200: answers.HealthAnswer, 503: answers.HealthAnswer}
    )
    def get(self, request: Request) -> Response:
        answer = health.report(timezone.now())
        return never(Response(answer, status=503 if answer["status"] == "error" else 200))


class LiveView(PublicView):
    """Whether this process answers."""

    name = "Live"

    @extend_schema(operation_id="health_live", tags=["health"], responses=answers.LiveAnswer)
    def get(self, request: Request) -> Response:
        return never(Response({"status": "ok"}))


class ReadyView(PublicView):
    """Whether the database can be reached and is migrated."""

    name = "Ready"

    @extend_schema(
        operation_id="health_ready", tags=["health"], responses={200: answers.ReadyAnswer, 503: answers.ReadyAnswer}
    )
    def get(self, request: Request) -> Response:
        database = health.database_report()
        ok = database["status"] == "ok"
        return never(Response({"status": database["status"], "db": database}, status=200 if ok else 503))
